"""``grid_sample``: an image, or a volume, looked at where a grid says."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor

from modelport.errors import OperatorError
from modelport.ops.decorator import operator
from modelport.ops.sampling import Draw
from modelport.ops.shapes import TensorInfo

DTYPES = ("float32", "float64", "float16", "bfloat16")
MODES = ("bilinear", "nearest", "bicubic")
PADDINGS = ("zeros", "border", "reflection")
CUBIC = -0.75
"""The coefficient of the cubic convolution, which is PyTorch's."""


@operator("modelport::grid_sample", kernels=["kernel.cpp", "kernel.cu"], dtypes=DTYPES)
def grid_sample(
    x: Tensor,
    grid: Tensor,
    *,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool = False,
) -> Tensor:
    """What ``torch.nn.functional.grid_sample`` gives.

    Args:
        x: [N, C, H, W] or [N, C, D, H, W].
        grid: [N, h, w, 2] or [N, d, h, w, 3], with the dtype of x: places, x before y before z,
            -1 and 1 being the borders.
        mode: ``bilinear``, ``nearest`` or (for images) ``bicubic``.
        padding_mode: What is seen outside: ``zeros`` (also where a place is not finite),
            ``border`` or ``reflection``.
        align_corners: Whether -1 and 1 are the centers of the corner pixels, not their edges.

    Returns:
        [N, C, h, w] or [N, C, d, h, w], with the dtype of x.
    """
    axes = x.ndim - 2
    if mode not in MODES or padding_mode not in PADDINGS or (mode == "bicubic" and axes == 3):
        raise OperatorError(
            f"grid_sample has no mode {mode!r} with padding {padding_mode!r} in {axes} dimensions",
            fix=f"modes: {', '.join(MODES)} (bicubic for images); paddings: {', '.join(PADDINGS)}",
        )
    work = torch.float64 if x.dtype == torch.float64 else torch.float32
    taps = []
    for axis, size in enumerate(x.shape[2:]):
        place = grid[..., axes - 1 - axis].to(work)
        place = (place + 1) / 2 * (size - 1) if align_corners else ((place + 1) * size - 1) / 2
        taps.append(_taps(place, size, mode, padding_mode, align_corners))
    batch = torch.arange(x.shape[0], device=x.device).view(-1, *[1] * axes)
    output: Tensor | float = 0.0
    for corner in itertools.product(*taps):
        weight = torch.stack([weight for _, weight in corner]).prod(0)
        seen = x.movedim(1, -1)[(batch, *(index for index, _ in corner))].to(work)
        output = output + weight[..., None] * seen
    assert isinstance(output, Tensor)
    return output.movedim(-1, 1).to(x.dtype).contiguous()


def _taps(
    place: Tensor, size: int, mode: str, padding: str, align_corners: bool
) -> list[tuple[Tensor, Tensor]]:
    """Along one axis: the elements that each place looks at, and their weights."""
    if mode != "bicubic":
        place = _inside(place, size, padding, align_corners)
    if mode == "nearest":
        found = [(place.round(), torch.ones_like(place))]
    else:
        first = place.floor()
        part = place - first
        found = [(first, 1 - part), (first + 1, part)]
    if mode == "bicubic":
        found = [
            (_inside(first + tap, size, padding, align_corners), _cubic((part - tap).abs()))
            for tap in (-1, 0, 1, 2)
        ]
    return [
        (
            index.nan_to_num(-1).clamp(0, size - 1).long(),
            torch.where((index >= 0) & (index <= size - 1), weight, 0),
        )
        for index, weight in found
    ]


def _inside(place: Tensor, size: int, padding: str, align_corners: bool) -> Tensor:
    if padding == "zeros":
        return place
    if padding == "reflection":
        # At the centers of the border pixels, or at their edges.
        low, span = (0.0, size - 1.0) if align_corners else (-0.5, float(size))
        if span == 0:
            place = torch.zeros_like(place)
        else:
            turned = (place - low).abs() % (2 * span)
            place = torch.where(turned > span, 2 * span - turned, turned) + low
    return place.nan_to_num(0).clamp(0, size - 1)


def _cubic(distance: Tensor) -> Tensor:
    """Keys' cubic convolution kernel (1981) at distances from 0 to 2."""
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance * distance + 1
    far = ((CUBIC * distance - 5 * CUBIC) * distance + 8 * CUBIC) * distance - 4 * CUBIC
    return torch.where(distance <= 1, near, far)


@grid_sample.shapes
def _(x: TensorInfo, grid: TensorInfo, **_: Any) -> TensorInfo:
    return x.like([*x.shape[:2], *grid.shape[1:-1]])


@grid_sample.onnx(since=16)
def _(op: Any, x: Any, grid: Any, *, mode: str, padding_mode: str, align_corners: bool) -> Any:
    # Opset 20 brought volumes, and other names.
    names = {"bilinear": "linear", "bicubic": "cubic"} if op.version >= 20 else {}
    return op.GridSample(
        x,
        grid,
        mode=names.get(mode, mode),
        padding_mode=padding_mode,
        align_corners=int(align_corners),
    )


@grid_sample.backward
def _(
    gradient: Tensor,
    x: Tensor,
    grid: Tensor,
    *,
    mode: str,
    padding_mode: str,
    align_corners: bool,
) -> Any:
    backward = torch.ops.aten.grid_sampler_2d_backward
    if x.ndim == 5:
        backward = torch.ops.aten.grid_sampler_3d_backward
    codes = MODES.index(mode), PADDINGS.index(padding_mode)
    return backward(gradient, x, grid, *codes, align_corners, [True, True])


@grid_sample.cases
def _(draw: Draw) -> Any:
    dtype, axes = draw.choice(DTYPES), draw.choice([2, 2, 3])
    batch, channels = draw.size(0, 3), draw.integer(1, 5)
    sizes = [draw.size(1, 9) for _ in range(axes)]
    shape = [draw.size(0, 12) for _ in range(axes)]
    x = draw.tensor([batch, channels, *sizes], dtype)
    grid = draw.tensor([batch, *shape, axes], dtype, *draw.choice([(-1, 1), (-1.5, 1.5), (-9, 9)]))
    return (x, grid), {
        "mode": draw.choice(MODES if axes == 2 else MODES[:2]),
        "padding_mode": draw.choice(PADDINGS),
        "align_corners": draw.flag(),
    }
