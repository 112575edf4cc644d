"""``image_to_tensor``: a picture's bytes, resized, cropped and normalised in one go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modelport.errors import OperatorError
from modelport.ops.decorator import operator
from modelport.ops.library.image_to_tensor.body import Body
from modelport.ops.sampling import Draw
from modelport.ops.shapes import TensorInfo

FITS = ("exact", "shorter", "letterbox")
MODES = ("bilinear", "bicubic", "nearest")
BITS = 22
"""Bits behind the point of a weight where Pillow resizes bytes."""


@operator("modelport::image_to_tensor", kernels=["kernel.cpp", "kernel.cu"])
def image_to_tensor(
    image: Tensor,
    table: Tensor,
    *,
    size: Sequence[int],
    fit: str = "exact",
    crop: Sequence[int] = (0, 0),
    mode: str = "bilinear",
    antialias: bool = True,
    fill: int = 0,
    reverse: bool = False,
) -> Tensor:
    """Resizes a picture, cuts out its center, and looks every byte up in a table.

    With ``antialias``, and for ``nearest``, the resized bytes are those of Pillow's
    ``Image.resize`` (an integer convolution whose weights have 22 bits, the rows first). Without,
    they are those of ``torch.nn.functional.interpolate(align_corners=False)`` in float32, rounded
    to even: the formula of OpenCV's ``INTER_LINEAR`` and ``INTER_CUBIC``, whose own arithmetic has
    11 bits and differs by a level at times.

    Args:
        image: uint8, [H, W, C] or [N, H, W, C].
        table: float32 [C, 256]: what each value of a channel of the output becomes.
        size: [height, width]; for ``shorter`` the length of the shorter side alone.
        fit: ``exact`` (the picture is stretched), ``shorter`` (the shorter side gets the size, the
            longer one its length times the same factor, cut to a whole number, as torchvision
            does), or ``letterbox`` (the picture fits inside, in the middle, with ``fill`` around).
        crop: [height, width] to cut out of the middle of the resized picture; 0 for all of it.
        mode: ``bilinear``, ``bicubic`` (a of -0.5 with antialias, else -0.75) or ``nearest``.
        antialias: Whether the filter becomes wider where the picture becomes smaller.
        fill: The byte around a letterboxed picture.
        reverse: Whether the channels of the output are in reverse order.

    Returns:
        float32 [N, C, height, width]; N is 1 for a single picture.
    """
    pixels = image if image.ndim == 4 else image[None]
    plan = _Plan(pixels.shape[1:3], size, fit, crop)
    bytes_of: Callable[..., Tensor] = _interpolated
    if mode == "nearest":
        bytes_of = _nearest
    elif antialias:
        bytes_of = _convolved
    for axis in (2, 1):  # the rows first
        pixels = bytes_of(pixels, axis, plan, mode)
    if bytes_of is _interpolated:
        pixels = pixels.round().clamp(0, 255)
    whole = torch.full((*pixels.shape[:1], *plan.made, pixels.shape[3]), fill, dtype=torch.int64)
    (top, left), (height, width) = plan.margin, plan.kept
    whole[:, top : top + height, left : left + width] = pixels.long()
    if reverse:
        whole = whole.flip(3)
    planes = whole.movedim(3, 1)
    channels = torch.arange(planes.shape[1])[:, None, None]
    return table[channels, planes]


_min: Any = torch.sym_min
_max: Any = torch.sym_max


def fitted_size(height: Any, width: Any, size: Any, fit: str) -> tuple[Any, Any]:
    """The size of the resized picture, without a crop and the margins of a letterbox.

    Args:
        height: Height of the picture: an ``int`` or a symbolic size of PyTorch.
        width: Width of the picture.
        size: As `image_to_tensor` takes it.
        fit: As `image_to_tensor` takes it.

    Returns:
        Height and width.
    """
    if fit == "exact":
        return size[0], size[1]
    if fit == "shorter":
        shorter = _min(height, width)
        return size[0] * height // shorter, size[0] * width // shorter
    # The factor is the smaller of size[0] / height and size[1] / width, as a fraction.
    above = _min(size[0] * width, size[1] * height)
    below = 2 * height * width
    tall, wide = (_max(1, (2 * above * side + height * width) // below) for side in (height, width))
    return tall, wide


def center(inner: Any, outer: Any) -> Any:
    """Where a centered window begins: half of the difference, rounded to even."""
    difference = outer - inner
    half = difference // 2
    return half + (difference % 2) * (half % 2)


class _Plan:
    """Which part of the resized picture lies where in the output: pairs of height and width."""

    def __init__(self, given: Any, size: Any, fit: str, crop: Any) -> None:
        self.full = fitted_size(given[0], given[1], size, fit)
        self.kept, self.skipped, self.margin = self.full, (0, 0), (0, 0)
        if fit == "letterbox":
            self.made = tuple(size)
            pairs = zip(size, self.full, strict=True)
            self.margin = tuple((outer - inner) // 2 for outer, inner in pairs)
        elif any(crop):
            self.made = self.kept = tuple(crop)
            self.skipped = tuple(map(center, crop, self.full))
        else:
            self.made = self.full

    def along(self, axis: int) -> tuple[int, int, int]:
        """For the axis 1 or 2: the resized length, what is skipped of it, and what is kept."""
        return self.full[axis - 1], self.skipped[axis - 1], self.kept[axis - 1]


def _nearest(pixels: Tensor, axis: int, plan: _Plan, _: str) -> Tensor:
    full, skipped, kept = plan.along(axis)
    step = pixels.shape[axis] / full
    # Pillow adds the steps up, which is not quite the same as multiplying.
    places = np.cumsum(np.r_[step * 0.5, np.full(full - 1, step)])
    index = torch.from_numpy(places).long().clamp(max=pixels.shape[axis] - 1)
    return pixels.index_select(axis, index[skipped : skipped + kept])


def _convolved(pixels: Tensor, axis: int, plan: _Plan, mode: str) -> Tensor:
    """What Pillow's ``Resample.c`` computes; its sums are whole numbers, which float64 holds."""
    full, skipped, kept = plan.along(axis)
    inputs = pixels.shape[axis]
    scale = inputs / full
    wide = max(scale, 1.0)
    support = wide * (2 if mode == "bicubic" else 1)
    middle = (torch.arange(skipped, skipped + kept).double() + 0.5) * scale
    first = (middle - support + 0.5).trunc().clamp(min=0)
    last = (middle + support + 0.5).trunc().clamp(max=inputs)
    tap = torch.arange(inputs).double()
    distance = (tap - middle[:, None] + 0.5) * (1 / wide)
    weight = _filter(distance.abs(), mode)
    weight = weight.where((tap >= first[:, None]) & (tap < last[:, None]), 0)
    weight = weight / weight.sum(1, keepdim=True)
    whole = (weight * (1 << BITS) + torch.where(weight < 0, -0.5, 0.5)).trunc()
    made = (pixels.movedim(axis, -1).double() @ whole.T).movedim(-1, axis)
    return ((made + (1 << (BITS - 1))) / (1 << BITS)).floor().clamp(0, 255)


def _filter(distance: Tensor, mode: str) -> Tensor:
    if mode == "bilinear":
        return (1 - distance).clamp(min=0)
    a = -0.5  # Keys' cubic convolution (1981), with Pillow's coefficient
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = (((distance - 5) * distance + 8) * distance - 4) * a
    return torch.where(distance < 1, near, torch.where(distance < 2, far, 0))


def _interpolated(pixels: Tensor, axis: int, plan: _Plan, mode: str) -> Tensor:
    full, skipped, kept = plan.along(axis)
    inputs = pixels.shape[axis]
    step = torch.tensor(inputs, dtype=torch.float32) / full
    source = (torch.arange(skipped, skipped + kept).float() + 0.5) * step - 0.5
    if mode == "bilinear":
        source = source.clamp(min=0)
    low = source.floor()
    shape = [-1 if place == axis else 1 for place in range(4)]
    part = (source - low).reshape(shape)
    weights = [1 - part, part]
    if mode == "bicubic":
        weights = [_far(part + 1), _near(part), _near(1 - part), _far(2 - part)]
    first = low.long() - (len(weights) // 2 - 1)
    made: Any = None
    for tap, weight in enumerate(weights):
        seen = pixels.index_select(axis, (first + tap).clamp(0, inputs - 1)).float() * weight
        made = seen if made is None else made + seen
    return made  # type: ignore[no-any-return]


def _near(d: Tensor) -> Tensor:
    return (1.25 * d - 2.25) * d * d + 1


def _far(d: Tensor) -> Tensor:
    return ((-0.75 * d + 3.75) * d - 6) * d + 3


@image_to_tensor.shapes
def _(
    image: TensorInfo,
    table: TensorInfo,
    *,
    size: Sequence[int],
    fit: str,
    crop: Sequence[int],
    mode: str,
    antialias: bool,
    fill: int,
    reverse: bool,
) -> TensorInfo:
    if len(image.shape) not in (3, 4) or image.dtype != "uint8":
        raise OperatorError(
            f"image_to_tensor: the picture is {image}", fix="give uint8 [H, W, C] or [N, H, W, C]"
        )
    if fit not in FITS or mode not in MODES:
        raise OperatorError(
            f"image_to_tensor has no fit {fit!r} with the mode {mode!r}",
            fix=f"fit is one of {', '.join(FITS)}, mode one of {', '.join(MODES)}",
        )
    sizes = 1 if fit == "shorter" else 2
    if len(size) != sizes or len(crop) != 2 or (any(crop) and fit == "letterbox"):
        raise OperatorError(
            f"image_to_tensor: size {list(size)} and crop {list(crop)} with the fit {fit!r}",
            fix="size is one number for shorter and two else; crop is two numbers, and not for "
            "letterbox",
        )
    if min(size) < 1 or min(crop) < 0 or not 0 <= fill <= 255:
        raise OperatorError(
            f"image_to_tensor: size {list(size)}, crop {list(crop)}, fill {fill}",
            fix="sizes are above 0, fill is a byte",
        )
    height, width, channels = image.shape[-3:]
    made = _Plan((height, width), size, fit, crop).made
    return TensorInfo([image.shape[0] if len(image.shape) == 4 else 1, channels, *made], "float32")


@image_to_tensor.onnx
def _(op: Any, image: Any, table: Any, **options: Any) -> Any:
    return Body(op, image, **options).look_up(table)


@image_to_tensor.cases
def _(draw: Draw) -> Any:
    batch = [draw.size(1, 3)] if draw.flag() else []
    channels = draw.choice([1, 3, 3, 4])
    shape = [*batch, draw.size(1, 50), draw.size(1, 50), channels]
    fit, crop = draw.choice(FITS), [0, 0]
    size = [draw.size(1, 24)] if fit == "shorter" else [draw.size(1, 24), draw.size(1, 24)]
    if fit != "letterbox" and draw.flag():
        crop = [draw.integer(1, size[0]), draw.integer(1, size[-1])]
    return (
        draw.tensor(shape, "uint8", 0, 255),
        draw.tensor([channels, 256], "float32"),
    ), {
        "size": size,
        "fit": fit,
        "crop": crop,
        "mode": draw.choice(MODES),
        "antialias": draw.flag(),
        "fill": draw.integer(0, 255),
        "reverse": draw.flag(),
    }
