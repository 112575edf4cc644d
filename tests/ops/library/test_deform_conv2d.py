"""deform_conv2d against convolutions, and against the formula in Python numbers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from modelport import OperatorError
from modelport.conformance import prove_operator
from modelport.ops.library.deform_conv2d.op import deform_conv2d
from tests.ops.library.agreement import drawn, require_agreement, tolerances


def by_the_formula(
    input: torch.Tensor,
    weight: torch.Tensor,
    offset: torch.Tensor,
    mask: torch.Tensor | None,
    bias: torch.Tensor | None,
    *,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
    offset_groups: int,
) -> torch.Tensor:
    """Tap by tap, in float64."""
    n, channels, height, width = input.shape
    outputs, depth, kh, kw = weight.shape
    out = torch.zeros(n, outputs, *offset.shape[2:], dtype=torch.float64)
    x, w, d = input.tolist(), weight.tolist(), offset.tolist()
    m = None if mask is None else mask.tolist()

    def pixel(b: int, c: int, row: int, column: int) -> float:
        return x[b][c][row][column] if 0 <= row < height and 0 <= column < width else 0.0

    for b, o, i, j in torch.cartesian_prod(*map(torch.arange, out.shape)).tolist():
        total = 0.0 if bias is None else float(bias[o])
        for c, ki, kj in torch.cartesian_prod(*map(torch.arange, (depth, kh, kw))).reshape(-1, 3):
            channel = o // (outputs // groups) * depth + int(c)
            tap = channel // (channels // offset_groups) * kh * kw + int(ki) * kw + int(kj)
            row = i * stride[0] - padding[0] + int(ki) * dilation[0] + d[b][2 * tap][i][j]
            column = j * stride[1] - padding[1] + int(kj) * dilation[1] + d[b][2 * tap + 1][i][j]
            top, left = math.floor(row), math.floor(column)
            value = sum(
                (1 - abs(row - r)) * (1 - abs(column - s)) * pixel(b, channel, r, s)
                for r in (top, top + 1)
                for s in (left, left + 1)
            )
            total += value * w[o][c][ki][kj] * (1.0 if m is None else m[b][tap][i][j])
        out[b, o, i, j] = total
    return out


def random(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def test_everything_that_comes_of_it() -> None:
    prove_operator(deform_conv2d, cases=14, exports=1).require()


def test_reference_and_kernel_are_the_formula() -> None:
    compared = 0
    for inputs, attributes in drawn(deform_conv2d, 40):
        result_size = inputs[2].numel() * inputs[1].numel()
        if inputs[0].dtype.itemsize == 2 or not 0 < result_size < 20_000:
            continue
        expected = by_the_formula(*inputs, **attributes)
        for given in (deform_conv2d.reference, deform_conv2d):
            actual = given(*inputs, **attributes)
            assert actual.dtype == inputs[0].dtype
            near = tolerances(actual.dtype)
            torch.testing.assert_close(actual.double(), expected, **near)
        compared += 1
    assert compared >= 5


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_offset_is_a_convolution(groups: int, dtype: torch.dtype) -> None:
    x, weight = random(0, 2, 6, 19, 23, dtype=dtype), random(1, 9, 6 // groups, 3, 2, dtype=dtype)
    bias = random(2, 9, dtype=dtype)
    geometry: Any = {"stride": [2, 1], "padding": [1, 2], "dilation": [1, 3]}
    expected = F.conv2d(x, weight, bias, **geometry, groups=groups)
    offset = torch.zeros(2, 12, *expected.shape[2:], dtype=dtype)
    actual = deform_conv2d(x, weight, offset, None, bias, **geometry, groups=groups)
    torch.testing.assert_close(actual, expected, **tolerances(dtype))


@pytest.mark.parametrize(
    ("channels", "outputs", "groups", "offset_groups"),
    [(64, 64, 1, 1), (600, 40, 2, 4), (48, 33, 1, 3), (512, 4, 1, 1)],
)
def test_many_channels_on_several_threads(
    channels: int, outputs: int, groups: int, offset_groups: int
) -> None:
    x, weight = random(0, 2, channels, 17, 13), random(1, outputs, channels // groups, 3, 3)
    weight = weight / weight[0].numel() ** 0.5
    offset, mask = random(2, 2, 18 * offset_groups, 17, 13), random(3, 2, 9 * offset_groups, 17, 13)
    attributes: Any = {"padding": [1, 1], "groups": groups, "offset_groups": offset_groups}
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        actual = deform_conv2d(x, weight, offset, mask, **attributes)
    finally:
        torch.set_num_threads(before)
    exact = [tensor.double() for tensor in (x, weight, offset, mask)]
    expected = deform_conv2d.reference(*exact, **attributes)
    torch.testing.assert_close(actual.double(), expected, rtol=1e-4, atol=1e-4)


def test_gradient() -> None:
    double = torch.float64
    tensors = (
        random(0, 1, 4, 5, 6, dtype=double),
        random(1, 2, 2, 2, 3, dtype=double),
        random(2, 1, 24, 4, 4, dtype=double),
        random(3, 1, 12, 4, 4, dtype=double),
        random(4, 2, dtype=double),
    )
    leaves = tuple(tensor.requires_grad_() for tensor in tensors)
    assert torch.autograd.gradcheck(
        lambda *inputs: deform_conv2d(*inputs, groups=2, offset_groups=2), leaves, fast_mode=True
    )


@pytest.mark.parametrize("far", [float("nan"), float("inf"), -float("inf"), 1e30, -1e9])
def test_a_tap_that_is_nowhere_counts_as_nothing(far: float) -> None:
    x, weight, offset = torch.ones(1, 3, 5, 5), torch.ones(1, 3, 1, 1), torch.zeros(1, 2, 5, 5)
    offset[0, 0, 2, 3] = far
    expected = torch.full((1, 1, 5, 5), 3.0)
    expected[0, 0, 2, 3] = 0
    assert torch.equal(deform_conv2d(x, weight, offset), expected)
    assert torch.equal(deform_conv2d.reference(x, weight, offset), expected)


def test_what_is_not_finite_stays_where_it_is() -> None:
    x = torch.ones(1, 1, 4, 4)
    x[0, 0, 0, 0] = float("inf")
    actual = deform_conv2d(x, torch.ones(1, 1, 1, 1), torch.full((1, 2, 4, 4), 3.0))
    assert torch.equal(actual[0, 0, 0], torch.tensor([1.0, 0, 0, 0]))
    assert torch.isfinite(actual).all()


def test_onnxruntime_with_and_without_optional_inputs() -> None:
    x, weight, offset = random(0, 1, 2, 6, 6), random(1, 3, 2, 3, 3), random(2, 1, 18, 4, 4)
    mask, bias = random(3, 1, 9, 4, 4), random(4, 3)
    for optional in ((), (mask,), (None, bias), (mask, bias)):
        require_agreement(deform_conv2d, (x, weight, offset, *optional))


@pytest.mark.parametrize(
    ("changed", "attributes", "said"),
    [
        ({"weight": (4, 3, 3, 3)}, {}, "takes 3 channels a group"),
        ({"offset": (1, 9, 4, 4)}, {}, r"it must be \[1, 18, 4, 4\]"),
        ({"mask": (1, 9, 4, 5)}, {}, r"the mask has shape \[1, 9, 4, 5\]"),
        ({"bias": (5,)}, {}, "5 elements for 4 outputs"),
        ({}, {"groups": 3}, "groups = 3 divides"),
        ({}, {"groups": 0}, "groups = 0"),
        ({}, {"offset_groups": 3}, "does not divide 2 channels"),
        ({}, {"stride": [0, 1]}, "the stride is"),
        ({}, {"padding": [1]}, "the padding is"),
        ({}, {"dilation": [3, 3]}, "reaches over it"),
        ({"input": (2, 6, 6)}, {}, "the input has rank 3"),
        ({"input": (1, 2, 6, 0)}, {}, "nothing comes of an input"),
        ({"weight": (0, 2, 3, 3), "bias": (0,)}, {}, "only the batch may be empty"),
    ],
)
def test_bad_inputs(
    changed: dict[str, tuple[int, ...]], attributes: dict[str, Any], said: str
) -> None:
    shapes: dict[str, tuple[int, ...]] = {
        "input": (1, 2, 6, 6),
        "weight": (4, 2, 3, 3),
        "offset": (1, 18, 4, 4),
        "mask": (1, 9, 4, 4),
        "bias": (4,),
    }
    tensors = [torch.zeros(shape) for shape in (shapes | changed).values()]
    with pytest.raises(OperatorError, match=said):
        deform_conv2d(*tensors, **attributes)
