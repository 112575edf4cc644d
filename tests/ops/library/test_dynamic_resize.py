"""dynamic_resize against torch.nn.functional.interpolate."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from modelport import OperatorError
from modelport.conformance import prove_operator
from modelport.ops.library.dynamic_resize.op import dynamic_resize
from tests.ops.library.agreement import drawn, require_agreement, tolerances

MODES = [("bicubic", False), ("bicubic", True), ("bilinear", False), ("bilinear", True)]


def interpolate(x: torch.Tensor, scales: torch.Tensor, mode: str, align: bool) -> torch.Tensor:
    return F.interpolate(
        x,
        scale_factor=tuple(scales[-2:].tolist()),
        mode=mode,
        align_corners=None if mode == "nearest" else align,
        recompute_scale_factor=False,
    )


def takes_shortcut(x: torch.Tensor, scales: torch.Tensor) -> bool:
    """PyTorch's nearest then does not go by the factor; for other shapes it does."""
    pairs = zip(x.shape[2:], scales[-2:].tolist(), strict=True)
    return any(
        int(size * scale) in (size, 2 * size) and scale not in (1, 2) for size, scale in pairs
    )


def test_everything_that_comes_of_it() -> None:
    prove_operator(dynamic_resize, cases=12, exports=1).require()


def test_reference_and_kernel_are_pytorchs() -> None:
    compared = 0
    for (x, scales), attributes in drawn(dynamic_resize, 150):
        mode, align = attributes["mode"], attributes["align_corners"]
        if x.numel() == 0 or (mode == "nearest" and takes_shortcut(x, scales)):
            continue
        # PyTorch adds up in 16 bits; the formula does not.
        expected = interpolate(x if x.dtype.itemsize > 2 else x.float(), scales, mode, align)
        for given in (dynamic_resize.reference, dynamic_resize):
            actual = given(x, scales, **attributes)
            assert actual.dtype == x.dtype
            near = {"rtol": 0, "atol": 0} if mode == "nearest" else tolerances(x.dtype)
            torch.testing.assert_close(actual, expected.to(x.dtype), **near)
        compared += 1
    assert compared > 80


@pytest.mark.parametrize(("mode", "align"), [*MODES, ("nearest", False)])
@pytest.mark.parametrize("scales", [(3.0, 2.5), (0.37, 0.21), (1.7, 0.4)])
def test_pictures_on_several_threads(mode: str, align: bool, scales: tuple[float, float]) -> None:
    x = torch.rand(2, 3, 97, 131, generator=torch.Generator().manual_seed(0))
    factors = torch.tensor(scales)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        actual = dynamic_resize(x, factors, mode=mode, align_corners=align)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(actual, interpolate(x, factors, mode, align), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("mode", "align"), [*MODES, ("nearest", False)])
def test_sizes_are_multiplied_in_float64(mode: str, align: bool) -> None:
    # In float32 10 * 0.7 is 7; 0.7 in float32 is less than 0.7.
    x, scales = torch.rand(1, 1, 10, 10), torch.tensor([0.7, 1.3])
    assert dynamic_resize(x, scales, mode=mode, align_corners=align).shape == (1, 1, 6, 12)
    require_agreement(dynamic_resize, (x, scales), mode=mode, align_corners=align)


def test_four_scales_are_those_of_onnx() -> None:
    x = torch.rand(1, 2, 5, 7)
    four = dynamic_resize(x, torch.tensor([1.0, 1.0, 2.0, 3.0]))
    assert torch.equal(four, dynamic_resize(x, torch.tensor([2.0, 3.0])))


@pytest.mark.parametrize(("mode", "align"), [*MODES, ("nearest", False)])
def test_gradient(mode: str, align: bool) -> None:
    x = torch.rand(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    scales = torch.tensor([1.6, 0.7])
    assert torch.autograd.gradcheck(
        lambda x: dynamic_resize(x, scales, mode=mode, align_corners=align), (x,)
    )


@pytest.mark.parametrize(
    ("scales", "attributes", "said"),
    [
        ([2.0], {}, "there are 1 scales"),
        ([2.0, 1.0, 2.0, 2.0], {}, "they must be 1"),
        ([0.1, 1.0], {}, "leaves nothing of a size of 4"),
        ([-1.0, 1.0], {}, "must be above 0"),
        ([float("nan"), 1.0], {}, "must be above 0"),
        ([1e30, 1.0], {}, "too large"),
        ([2.0, 2.0], {"mode": "area"}, "the mode is 'area'"),
        ([2.0, 2.0], {"mode": "nearest", "align_corners": True}, "not for the mode nearest"),
    ],
)
def test_bad_inputs(scales: list[float], attributes: dict[str, object], said: str) -> None:
    with pytest.raises(OperatorError, match=said):
        dynamic_resize(torch.rand(1, 1, 4, 4), torch.tensor(scales), **attributes)


def test_wrong_rank_and_dtype() -> None:
    with pytest.raises(OperatorError, match="takes rank 4"):
        dynamic_resize(torch.rand(4, 4), torch.tensor([2.0, 2.0]))
    with pytest.raises(OperatorError, match="no cpu kernel for"):
        dynamic_resize(torch.rand(1, 1, 4, 4), torch.tensor([2, 2]))
