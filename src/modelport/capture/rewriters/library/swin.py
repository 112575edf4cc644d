"""Attention in shifted windows of torchvision's Swin Transformers (Z. Liu et al., Swin Transformer,
2021, section 3.2), with dynamic height and width.

Along an axis that one window covers, nothing is shifted. torchvision decides that in Python, and
both exporters fix what holds for the example: **wrong** for an image on the other side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from modelport.capture.rewriters.library._common import is_traced, rewrites
from modelport.capture.rewriters.report import Context

_APART = -100.0
"""What a score gets where query and key come from two sides of the image."""


@rewrites("torchvision.models.swin_transformer.shifted_window_attention")
def shifted_window_attention(
    ctx: Context,
    input: Tensor,
    qkv_weight: Tensor,
    proj_weight: Tensor,
    relative_position_bias: Tensor,
    window_size: Sequence[int],
    num_heads: int,
    shift_size: Sequence[int],
    attention_dropout: float = 0.0,
    dropout: float = 0.0,
    qkv_bias: Tensor | None = None,
    proj_bias: Tensor | None = None,
    logit_scale: Tensor | None = None,
    training: bool = True,
) -> Tensor:
    """The same for [N, H, W, C], where the shift is computed from the number of windows."""
    sizes = input.shape[1:3]
    if training or not any(map(is_traced, sizes)) or not any(shift_size):
        return ctx.keep(  # type: ignore[no-any-return]
            *(input, qkv_weight, proj_weight, relative_position_bias, window_size, num_heads),
            *(shift_size, attention_dropout, dropout, qkv_bias, proj_bias, logit_scale, training),
        )
    channels = input.shape[3]
    rows, columns = (-(-size // window) for size, window in zip(sizes, window_size, strict=True))
    height, width = rows * window_size[0], columns * window_size[1]
    x = F.pad(input, (0, 0, 0, width - sizes[1], 0, height - sizes[0]))
    axes = [
        _Axis.of(count, window, shift, x)
        for count, window, shift in zip((rows, columns), window_size, shift_size, strict=True)
    ]
    for dim, axis in enumerate(axes, 1):
        x = x.index_select(dim, axis.there)
    x = x.reshape(-1, rows, window_size[0], columns, window_size[1], channels).transpose(2, 3)
    windows = x.reshape(-1, rows * columns, window_size[0] * window_size[1], channels)
    attended = _attend(
        windows, qkv_weight, qkv_bias, num_heads, logit_scale, relative_position_bias, axes
    )
    attended = F.linear(attended, proj_weight, proj_bias)
    x = attended.reshape(-1, rows, columns, *window_size, channels).transpose(2, 3)
    x = x.reshape(-1, height, width, channels)
    for dim, axis in enumerate(axes, 1):
        x = x.index_select(dim, axis.back)
    return x[:, : sizes[0], : sizes[1]]


class _Axis(NamedTuple):
    """A shifted axis.

    Attributes:
        there: Where each place comes from, int64 [size].
        back: The way back, int64 [size].
        sides: What differs within a window across the image's border, int64 [count, window].
    """

    there: Tensor
    back: Tensor
    sides: Tensor

    @classmethod
    def of(cls, count: Any, window: int, shift: int, like: Tensor) -> _Axis:
        """The axis of so many windows; of one, it is not shifted."""
        own = torch.arange(count * window, device=like.device)
        size = own.new_full((), count * window)
        by = torch.where(size > window, shift, 0)
        sides = (own + by >= size).long().reshape(count, window)
        return cls((own + by) % size, (own + size - by) % size, sides)


def _attend(
    windows: Tensor,
    qkv_weight: Tensor,
    qkv_bias: Tensor | None,
    heads: int,
    logit_scale: Tensor | None,
    bias: Tensor,
    axes: Sequence[_Axis],
) -> Tensor:
    """Attention within [N, windows, places, C], not across the image's border."""
    channels = windows.shape[3]
    if logit_scale is not None and qkv_bias is not None:
        query, key, value = qkv_bias.chunk(3)
        qkv_bias = torch.cat([query, torch.zeros_like(key), value])
    joint = F.linear(windows, qkv_weight, qkv_bias)
    joint = joint.reshape(*windows.shape[:3], 3, heads, channels // heads)
    query, key, value = joint.permute(3, 0, 1, 4, 2, 5).unbind(0)
    if logit_scale is None:
        scores = (query * (channels // heads) ** -0.5) @ key.transpose(-2, -1)
    else:
        cosines = F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).transpose(-2, -1)
        scores = cosines * logit_scale.clamp(max=math.log(100.0)).exp()
    sides = 2 * axes[0].sides[:, None, :, None] + axes[1].sides[None, :, None, :]
    sides = sides.reshape(1, -1, 1, windows.shape[2])
    apart = (sides.unsqueeze(-1) != sides.unsqueeze(-2)).to(scores.dtype)
    weights = torch.softmax(scores + bias + apart * _APART, -1)
    attended: Tensor = (weights @ value).transpose(2, 3).reshape(windows.shape)
    return attended
