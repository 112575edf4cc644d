"""grid_sample against torch.nn.functional.grid_sample."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from modelport import OperatorError
from modelport.conformance import prove_operator
from modelport.ops.library.grid_sample.op import MODES, PADDINGS, grid_sample
from tests.ops.library.agreement import drawn, require_agreement, tolerances


def test_everything_that_comes_of_it() -> None:
    prove_operator(grid_sample, cases=12, exports=1).require()


def test_reference_and_kernel_are_pytorchs() -> None:
    compared = 0
    for (x, grid), attributes in drawn(grid_sample, 150):
        if x.numel() == 0:
            continue
        # PyTorch computes places in 16 bits; the formula does not.
        wide = x.dtype if x.dtype.itemsize > 2 else torch.float32
        expected = F.grid_sample(x.to(wide), grid.to(wide), **attributes).to(x.dtype)
        for given in (grid_sample.reference, grid_sample):
            actual = given(x, grid, **attributes)
            torch.testing.assert_close(actual, expected, **tolerances(x.dtype))
        compared += 1
    assert compared > 80


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("padding_mode", PADDINGS)
@pytest.mark.parametrize("align_corners", [True, False])
def test_pictures_on_several_threads(mode: str, padding_mode: str, align_corners: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 5, 37, 53, generator=generator)
    grid = torch.rand(2, 41, 33, 2, generator=generator) * 3 - 1.5
    how = {"mode": mode, "padding_mode": padding_mode, "align_corners": align_corners}
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        actual = grid_sample(x, grid, **how)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(actual, F.grid_sample(x, grid, **how), rtol=0, atol=1e-4)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("mode", MODES)
def test_images_as_narrow_as_what_is_looked_at(mode: str, width: int) -> None:
    x = torch.rand(1, 2, 2, width)
    grid = torch.rand(1, 3, 5, 2) * 4 - 2
    for padding_mode in PADDINGS:
        how = {"mode": mode, "padding_mode": padding_mode, "align_corners": False}
        expected = F.grid_sample(x, grid, **how)
        torch.testing.assert_close(grid_sample(x, grid, **how), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("padding_mode", PADDINGS)
@pytest.mark.parametrize("mode", MODES)
def test_places_that_are_no_numbers(mode: str, padding_mode: str) -> None:
    x = torch.rand(1, 1, 3, 4)
    odd = [math.nan, math.inf, -math.inf, 1e30, -1e30]
    grid = torch.tensor([[[[u, v] for u in [*odd, 0.1] for v in odd]]])
    how = {"mode": mode, "padding_mode": padding_mode, "align_corners": False}
    result = grid_sample(x, grid, **how)
    assert result.shape == (1, 1, 1, len(odd) * (len(odd) + 1))
    if padding_mode == "zeros":
        assert not result.any()
    elif mode != "bicubic":
        assert bool(((result >= x.min()) & (result <= x.max())).all())


@pytest.mark.parametrize(("mode", "axes"), [("bilinear", 2), ("bicubic", 2), ("bilinear", 3)])
def test_gradient(mode: str, axes: int) -> None:
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(1, 2, *[4] * axes, generator=generator, dtype=torch.float64)
    grid = torch.rand(1, *[2] * axes, axes, generator=generator, dtype=torch.float64) * 1.6 - 0.8
    assert torch.autograd.gradcheck(
        lambda x, grid: grid_sample(x, grid, mode=mode, padding_mode="border"),
        (x.requires_grad_(), grid.requires_grad_()),
    )


def test_the_body_of_an_earlier_opset(tmp_path) -> None:
    import modelport
    from modelport.capture.custom_operators import add_bodies

    class Module(torch.nn.Module):
        def forward(self, x: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
            return grid_sample(x, grid, mode="bicubic")

    x, grid = torch.rand(1, 2, 4, 5), torch.rand(1, 3, 3, 2)
    model = modelport.export(
        Module(), (x, grid), input_names=["x", "grid"], capture="trace", opset=17
    )
    (body,) = model.ir.functions.values()
    (node,) = body
    assert node.attributes["mode"].value == "bicubic"
    assert not add_bodies(model.ir)
    engine = modelport.load(model.save(tmp_path / "model.onnx"))
    (actual,) = engine.run({"x": x.numpy(), "grid": grid.numpy()}).values()
    expected = F.grid_sample(x, grid, mode="bicubic", align_corners=False)
    torch.testing.assert_close(torch.from_numpy(actual), expected, rtol=1e-4, atol=1e-5)


def test_exactly_between_two_pixels() -> None:
    # Both round to the even one.
    x = torch.arange(8.0).reshape(1, 1, 1, 8)
    grid = torch.tensor([[[[(2 * place + 1) / 8 - 1, 0.0] for place in (0.5, 1.5, 2.5)]]])
    assert grid_sample(x, grid, mode="nearest").flatten().tolist() == [0.0, 2.0, 2.0]
    require_agreement(grid_sample, (x, grid), mode="nearest")


@pytest.mark.parametrize(
    ("x", "grid", "attributes", "said"),
    [
        ((1, 1, 2), (1, 2, 1), {}, "rank 4 or 5"),
        ((1, 1, 2, 2), (1, 2, 2, 3), {}, "its last dimension must be 2"),
        ((1, 1, 2, 2), (2, 2, 2, 2), {}, "there are 1 images and 2 grids"),
        ((1, 1, 0, 2), (1, 2, 2, 2), {}, "nothing to look at"),
        ((1, 1, 2, 2), (1, 2, 2, 2), {"mode": "cubic"}, "the mode is 'cubic'"),
        ((1, 1, 2, 2), (1, 2, 2, 2), {"padding_mode": "edge"}, "the padding_mode is 'edge'"),
        ((1, 1, 2, 2, 2), (1, 1, 1, 1, 3), {"mode": "bicubic"}, "not for volumes"),
    ],
)
def test_bad_inputs(x, grid, attributes, said: str) -> None:
    with pytest.raises(OperatorError, match=said):
        grid_sample(torch.rand(x), torch.rand(grid), **attributes)
