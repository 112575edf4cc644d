"""Operators of libraries that are not installed: schemas as published, kernels in plain torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def deform_conv2d(
    input: torch.Tensor,
    weight: torch.Tensor,
    offset: torch.Tensor,
    mask: torch.Tensor,
    bias: torch.Tensor,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    groups: int,
    offset_groups: int,
    use_mask: bool,
) -> torch.Tensor:
    """Samples the input bilinearly where the offsets say, zero outside, then multiplies."""
    n, _, h, w = input.shape
    out, _, kh, kw = weight.shape
    oh, ow = offset.shape[2:]
    moved = offset.reshape(n, offset_groups, kh * kw, 2, oh, ow)
    row = torch.arange(kh).repeat_interleave(kw)[:, None, None] * dilation_h
    column = torch.arange(kw).repeat(kh)[:, None, None] * dilation_w
    y = moved[:, :, :, 0] + torch.arange(oh)[:, None] * stride_h - pad_h + row
    x = moved[:, :, :, 1] + torch.arange(ow) * stride_w - pad_w + column
    places = torch.stack([(2 * x + 1) / w - 1, (2 * y + 1) / h - 1], -1)
    sampled = F.grid_sample(
        input.reshape(n * offset_groups, -1, h, w),
        places.reshape(n * offset_groups, -1, ow, 2),
        padding_mode="zeros",
        align_corners=False,
    ).reshape(n, offset_groups, -1, kh * kw, oh, ow)
    if use_mask:
        sampled = sampled * mask.reshape(n, offset_groups, 1, kh * kw, oh, ow)
    columns = sampled.reshape(n, groups, -1, oh * ow)
    result = weight.reshape(groups, out // groups, -1) @ columns
    return result.reshape(n, out, oh, ow) + bias.reshape(-1, 1, 1)


def grid(
    pos: torch.Tensor,
    size: torch.Tensor,
    start: torch.Tensor | None = None,
    end: torch.Tensor | None = None,
) -> torch.Tensor:
    """The number of the voxel that each point lies in."""
    start = pos.amin(0) if start is None else start
    end = pos.amax(0) if end is None else end
    counts = ((end - start) / size).long() + 1
    strides = torch.cat([counts.new_ones(1), counts.cumprod(0)[:-1]])
    return (((pos - start) / size).long() * strides).sum(1)


VISION = torch.library.Library("torchvision", "FRAGMENT")
VISION.define(
    "deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, "
    "SymInt stride_h, SymInt stride_w, SymInt pad_h, SymInt pad_w, SymInt dilation_h, "
    "SymInt dilation_w, SymInt groups, SymInt offset_groups, bool use_mask) -> Tensor"
)
VISION.impl("deform_conv2d", deform_conv2d, "CPU")

CLUSTER = torch.library.Library("torch_cluster", "FRAGMENT")
CLUSTER.define("grid(Tensor pos, Tensor size, Tensor? start=None, Tensor? end=None) -> Tensor")
CLUSTER.impl("grid", grid, "CPU")
