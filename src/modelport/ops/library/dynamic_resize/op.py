"""``dynamic_resize``: resizing by scales that are an input."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from modelport.errors import OperatorError
from modelport.ops.decorator import operator
from modelport.ops.sampling import Draw
from modelport.ops.shapes import DATA_DEPENDENT, TensorInfo

DTYPES = ("float32", "float64", "float16", "bfloat16")
MODES = ("bicubic", "bilinear", "nearest")
CUBIC = -0.75
"""The coefficient of the cubic convolution, which is PyTorch's."""


@operator("modelport::dynamic_resize", kernels=["kernel.cpp", "kernel.cu"], dtypes=DTYPES)
def dynamic_resize(
    x: Tensor,
    scales: Tensor,
    *,
    mode: str = "bicubic",
    align_corners: bool = False,
    most_scale: float = 8.0,
) -> Tensor:
    """What ``torch.nn.functional.interpolate`` gives for these scale factors.

    Where a size stays as it is, or doubles, by a factor other than 1 or 2, PyTorch's ``nearest``
    takes a shortcut for some shapes; this one goes by the factor always.

    Args:
        x: [N, C, H, W].
        scales: float32 [2] for the height and the width, or [4], of which the first two are 1.
        mode: ``bicubic``, ``bilinear`` or ``nearest``.
        align_corners: Whether the centers of the corner pixels stay where they are (not for
            ``nearest``).
        most_scale: What the scales are at most, where memory must be reserved beforehand: TensorRT
            does, and refuses larger ones. It changes nothing elsewhere.

    Returns:
        [N, C, floor(H * scale), floor(W * scale)], with the dtype of x.
    """
    if mode not in MODES or (mode == "nearest" and align_corners):
        raise OperatorError(
            f"dynamic_resize has no mode {mode!r}{' with align_corners' * align_corners}",
            fix="bicubic, bilinear or nearest; align_corners is not for nearest",
        )
    sizes = [
        int(size * scale) for size, scale in zip(x.shape[2:], scales[-2:].tolist(), strict=True)
    ]
    height, width = _matrices(x, scales, sizes, mode, align_corners)
    work = x.to(height.dtype)
    return (height @ work @ width.T).to(x.dtype)


def _matrices(
    x: Tensor, scales: Tensor, sizes: Any, mode: str, align_corners: bool
) -> tuple[Tensor, Tensor]:
    """What the rows, and the columns, are multiplied by: [outputs, inputs] each."""
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    pairs = zip(x.shape[2:], sizes, scales[-2:].to(x.device), strict=True)
    height, width = (_weights(*pair, mode, align_corners, dtype) for pair in pairs)
    return height, width


def _weights(
    inputs: int, outputs: int, scale: Tensor, mode: str, align_corners: bool, dtype: torch.dtype
) -> Tensor:
    place = torch.arange(outputs, device=scale.device).to(dtype)
    step = (1 / scale.double()).to(dtype)
    if mode == "nearest":
        source = place * step
    elif align_corners:
        steps = torch.sym_max(outputs - 1, 1)  # type: ignore[no-untyped-call]
        source = place * ((inputs - 1) / steps)
    else:
        source = (place + 0.5) * step - 0.5
    if mode == "bilinear":
        source = source.clamp(min=0)
    first = source.floor()
    part = source - first
    taps = {
        "nearest": [(0, torch.ones_like(part))],
        "bilinear": [(0, 1 - part), (1, part)],
        "bicubic": [(tap, _cubic((part - tap).abs())) for tap in (-1, 0, 1, 2)],
    }[mode]
    matrix = part.new_zeros(outputs, inputs)
    for tap, weight in taps:
        index = (first.long() + tap).clamp(0, inputs - 1)
        matrix = matrix.scatter_add(1, index[:, None], weight[:, None])
    return matrix


def _cubic(distance: Tensor) -> Tensor:
    """Keys' cubic convolution kernel (1981) at distances from 0 to 2."""
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance * distance + 1
    far = ((CUBIC * distance - 5 * CUBIC) * distance + 8 * CUBIC) * distance - 4 * CUBIC
    return torch.where(distance <= 1, near, far)


@dynamic_resize.shapes
def _(x: TensorInfo, scales: TensorInfo, *, most_scale: float, **_: Any) -> TensorInfo:
    if len(x.shape) != 4:
        raise OperatorError(
            f"dynamic_resize takes rank 4; x has rank {len(x.shape)}",
            fix="it is [N, C, H, W]; a single picture is a batch of one",
        )
    sizes = [DATA_DEPENDENT.at_most(size * math.ceil(most_scale)) for size in x.shape[2:]]
    return x.like([*x.shape[:2], *sizes])


@dynamic_resize.onnx
def _(op: Any, x: Any, scales: Any, *, mode: str, align_corners: bool, **_: Any) -> Any:
    # The standard leaves it to the runtime in which precision sizes are multiplied; PyTorch
    # multiplies in float64.
    shape, last = op.Shape(x), op.Slice(scales, [-2], [2**31])
    sizes = op.Slice(shape, [2], [4])
    wanted = op.Cast(
        op.Floor(op.Mul(op.Cast(sizes, to=_DOUBLE), op.Cast(last, to=_DOUBLE))), to=_INT64
    )
    if mode == "nearest":
        for axis in (2, 3):
            here = [axis - 2], [axis - 1]
            count, size = op.Slice(wanted, *here), op.Slice(sizes, *here)
            index = _nearest(op, x, op.Slice(last, *here), count, size)
            x = op.Gather(x, index, axis=axis)
        return x
    options: dict[str, Any] = {"mode": "cubic" if mode == "bicubic" else "linear"}
    if mode == "bicubic":
        options["cubic_coeff_a"] = CUBIC
    if align_corners:
        full = op.Concat(op.Slice(shape, [0], [2]), wanted, axis=0)
        return op.Resize(
            x, None, None, full, coordinate_transformation_mode="align_corners", **options
        )
    factors = op.Concat(op.Constant(value_floats=[1.0, 1.0]), last, axis=0)
    resized = op.Resize(x, None, factors, coordinate_transformation_mode="half_pixel", **options)
    # A product that was rounded up to a whole number has given one row too many.
    return op.Slice(resized, [0, 0], wanted, [2, 3])


_DOUBLE, _INT64 = 11, 7  # ONNX's codes of the types


def _nearest(op: Any, x: Any, scale: Any, count: Any, size: Any) -> Any:
    # Like PyTorch: times the inverse, in the precision of the kernel.
    work = _DOUBLE if x.dtype is not None and x.dtype.value == _DOUBLE else 1
    places = op.Range(op.Constant(value_int=0), op.Squeeze(count), op.Constant(value_int=1))
    step = op.Cast(op.Reciprocal(op.Cast(scale, to=_DOUBLE)), to=work)
    source = op.Floor(op.Mul(op.Cast(places, to=work), step))
    return op.Min(op.Cast(source, to=_INT64), op.Sub(size, op.Constant(value_ints=[1])))


@dynamic_resize.backward
def _(
    gradient: Tensor, x: Tensor, scales: Tensor, *, mode: str, align_corners: bool, **_: Any
) -> Any:
    height, width = _matrices(x, scales, gradient.shape[2:], mode, align_corners)
    return (height.T @ gradient.to(height.dtype) @ width).to(x.dtype), None


@dynamic_resize.cases
def _(draw: Draw) -> Any:
    dtype, mode = draw.choice(DTYPES), draw.choice(MODES)
    sizes = [draw.size(1, 23), draw.size(1, 23)]
    batch = [draw.size(0, 3), draw.size(0, 4)] if draw.integer(0, 3) == 0 else [1, draw.size(1, 4)]
    # So large that no size becomes 0.
    factors = [draw.real(1 / size + 1e-3, 4) for size in sizes]
    if draw.flag():
        factors = [float(draw.integer(1, 4)) for _ in factors]
    scales = torch.tensor([1.0, 1.0, *factors] if draw.flag() else factors)
    align_corners = mode != "nearest" and draw.flag()
    x = draw.tensor([*batch, *sizes], dtype)
    return (x, scales), {"mode": mode, "align_corners": align_corners}
