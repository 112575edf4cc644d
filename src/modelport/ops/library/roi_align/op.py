"""``roi_align``: regions of feature maps, pooled to one size."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from modelport.ops.decorator import operator
from modelport.ops.sampling import Draw
from modelport.ops.shapes import TensorInfo

DTYPES = ("float32", "float64", "float16", "bfloat16")


@operator("modelport::roi_align", kernels=["kernel.cpp", "kernel.cu"], dtypes=DTYPES)
def roi_align(
    x: Tensor,
    rois: Tensor,
    *,
    spatial_scale: float = 1.0,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> Tensor:
    """What ``torchvision.ops.roi_align`` gives (Mask R-CNN, arXiv:1703.06870).

    Args:
        x: [N, C, H, W].
        rois: [K, 5], with the dtype of x: the number of the image, then x1, y1, x2, y2.
        spatial_scale: What the regions' coordinates are multiplied by.
        pooled_height: Height of the output.
        pooled_width: Width of the output.
        sampling_ratio: Samples a bin and axis; below 1 as many as a bin has pixels, rounded up.
        aligned: Whether pixels have their centers at whole numbers and a half; otherwise at
            whole numbers, and no region is smaller than 1 by 1.

    Returns:
        [K, C, pooled_height, pooled_width], with the dtype of x.
    """
    work = torch.float64 if x.dtype == torch.float64 else torch.float32
    pooled = pooled_height, pooled_width
    made = [x.new_empty(0, x.shape[1], *pooled)]
    for image, *corners in rois.to(work).unbind(0):
        x1, y1, x2, y2 = (corner * spatial_scale - 0.5 * aligned for corner in corners)
        places = []
        for begin, end, bins in ((y1, y2, pooled_height), (x1, x2, pooled_width)):
            extent = end - begin if aligned else (end - begin).clamp(min=1)
            step = extent / bins
            count = sampling_ratio if sampling_ratio > 0 else max(math.ceil(step), 0)
            inside = (torch.arange(count, device=x.device).to(work) + 0.5) * step / max(count, 1)
            places.append(begin + torch.arange(bins, device=x.device)[:, None] * step + inside)
        seen = _bilinear(x[int(image)].to(work), *places)
        count = max(seen.shape[2] * seen.shape[4], 1)
        made.append((seen.sum((2, 4)) / count).to(x.dtype)[None])
    return torch.cat(made)


def _bilinear(x: Tensor, y_places: Tensor, x_places: Tensor) -> Tensor:
    """[C, H, W] seen at every pair of places: [C, *y_places.shape, *x_places.shape]."""
    for axis, places in ((1, y_places), (-1, x_places)):
        size = x.shape[axis]
        outside = (places < -1) | (places > size)
        place = places.clamp(0, size - 1)
        low = place.floor()
        part = (place - low).where(~outside, 0)
        rest = (1 - (place - low)).where(~outside, 0)
        first = low.long()
        second = (first + 1).clamp(max=size - 1)
        moved = x.movedim(axis, -1)
        x = (moved[..., first] * rest + moved[..., second] * part).movedim((-2, -1), (1, 2))
        if axis == -1:
            x = x.movedim((1, 2), (-2, -1))
    return x


@roi_align.shapes
def _(
    x: TensorInfo, rois: TensorInfo, *, pooled_height: int, pooled_width: int, **_: Any
) -> TensorInfo:
    return x.like([rois.shape[0], x.shape[1], pooled_height, pooled_width])


@roi_align.onnx(since=16)
def _(
    op: Any,
    x: Any,
    rois: Any,
    *,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool,
) -> Any:
    images = op.Squeeze(op.Slice(rois, [0], [1], [1]), [1])
    return op.RoiAlign(
        x,
        op.Slice(rois, [1], [5], [1]),
        op.Cast(images, to=7),  # int64
        coordinate_transformation_mode="half_pixel" if aligned else "output_half_pixel",
        output_height=pooled_height,
        output_width=pooled_width,
        sampling_ratio=max(sampling_ratio, 0),
        spatial_scale=spatial_scale,
    )


@roi_align.cases
def _(draw: Draw) -> Any:
    dtype = draw.choice(DTYPES)
    images, channels = draw.integer(1, 3), draw.size(1, 20)
    height, width = draw.size(1, 20), draw.size(1, 20)
    scale, count = draw.choice([1.0, 0.5, 0.25]), draw.size(0, 6)
    rois = torch.empty(count, 5)
    for roi in rois:
        # In part outside of the image; in part of no extent.
        ends = [draw.real(-0.3, 1.3) * size / scale for size in (width, height) for _ in range(2)]
        x1, x2, y1, y2 = ends
        roi[:] = torch.tensor([draw.integer(0, images - 1), min(x1, x2), min(y1, y2), x2, y2])
    x = draw.tensor([images, channels, height, width], dtype)
    return (x, rois.to(x.dtype)), {
        "spatial_scale": scale,
        "pooled_height": draw.size(1, 7),
        "pooled_width": draw.size(1, 7),
        "sampling_ratio": draw.choice([-1, 0, 1, 2, 3]),
        "aligned": draw.flag(),
    }
