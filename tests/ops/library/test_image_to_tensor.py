"""image_to_tensor: all that comes of its declaration; what it computes is in tests/pipeline."""

from __future__ import annotations

import pytest
import torch

from modelport import OperatorError
from modelport.conformance import prove_operator
from modelport.ops.library.image_to_tensor.op import image_to_tensor
from tests.ops.library.agreement import drawn, require_agreement

TABLE = torch.arange(3 * 256, dtype=torch.float32).reshape(3, 256)


def test_everything_that_comes_of_it() -> None:
    prove_operator(image_to_tensor, cases=10, exports=1).require()


@pytest.mark.slow
def test_many_cases() -> None:
    for inputs, attributes in drawn(image_to_tensor, 60):
        require_agreement(image_to_tensor, inputs, **attributes)


def test_pictures_on_several_threads() -> None:
    image = torch.randint(0, 256, (2, 97, 131, 3), generator=torch.Generator().manual_seed(0))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for mode in ("bilinear", "bicubic", "nearest"):
            for antialias in (True, False):
                given = {"size": [40, 150], "mode": mode, "antialias": antialias}
                made = image_to_tensor(image.byte(), TABLE, **given)
                expected = image_to_tensor.reference(image.byte(), TABLE, **given)
                assert torch.equal(made, expected)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": [4]}, r"size \[4\]"),
        ({"size": [4, 0]}, r"size \[4, 0\]"),
        ({"size": [4, 4], "fit": "fill"}, "no fit 'fill'"),
        ({"size": [4, 4], "mode": "area"}, "mode 'area'"),
        ({"size": [4, 4], "crop": [5, 4]}, "larger than the resized"),
        ({"size": [4, 4], "fit": "letterbox", "crop": [2, 2]}, "not for letterbox"),
        ({"size": [4, 4], "fill": 256}, "fill 256"),
    ],
)
def test_wrong_attributes(options: dict, said: str) -> None:
    with pytest.raises(OperatorError, match=said):
        image_to_tensor(torch.zeros(8, 8, 3, dtype=torch.uint8), TABLE, **options)


def test_wrong_inputs() -> None:
    with pytest.raises(OperatorError, match="the table has shape"):
        image_to_tensor(torch.zeros(8, 8, 3, dtype=torch.uint8), TABLE[:1], size=[4, 4])
    with pytest.raises(OperatorError, match="no cpu kernel for"):
        image_to_tensor(torch.zeros(8, 8, 3), TABLE, size=[4, 4])
