"""Sliding windows of transformers' Longformer (I. Beltagy et al., Longformer, 2020, section 3.1),
with a dynamic length.

The length is filled up to whole windows if Python finds that it must be, and the windows are cut
with strides in memory: both are the example's ever after.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from modelport.capture.rewriters.library._common import is_traced, rewrites, steps_over
from modelport.capture.rewriters.report import Context

_PLACE = "transformers.models.longformer.modeling_longformer"


@rewrites(f"{_PLACE}.LongformerModel._pad_to_window_size")
def pad_to_window_size(
    ctx: Context,
    model: Any,
    input_ids: Tensor | None,
    attention_mask: Tensor,
    token_type_ids: Tensor,
    position_ids: Tensor | None,
    inputs_embeds: Tensor | None,
    pad_token_id: int,
) -> Any:
    """Fills up what is [N, length] to a multiple of the window, by as much as arithmetic says."""
    if input_ids is None or inputs_embeds is not None or not is_traced(input_ids.shape[1]):
        return ctx.keep(
            *(model, input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds),
            pad_token_id,
        )
    windows = model.config.attention_window
    window = windows if isinstance(windows, int) else max(windows)
    size = input_ids.shape[1]
    missing = steps_over(size, window) * window - size

    def fill(x: Tensor, value: int) -> Tensor:
        return F.pad(x, [0, missing], value=value)

    ids = fill(input_ids, pad_token_id)
    places = None if position_ids is None else fill(position_ids, pad_token_id)
    return missing, ids, fill(attention_mask, 0), fill(token_type_ids, 0), places, None


@rewrites(f"{_PLACE}.LongformerSelfAttention._sliding_chunks_query_key_matmul")
def scores_in_windows(
    ctx: Context, attention: Any, query: Tensor, key: Tensor, window_overlap: int
) -> Tensor:
    """The same for any multiple of a window, without strides in memory."""
    if not is_traced(query.shape[1]):
        return ctx.keep(attention, query, key, window_overlap)  # type: ignore[no-any-return]
    return _scores(query, key, window_overlap)


@rewrites(f"{_PLACE}.LongformerSelfAttention._sliding_chunks_matmul_attn_probs_value")
def values_in_windows(
    ctx: Context, attention: Any, attn_probs: Tensor, value: Tensor, window_overlap: int
) -> Tensor:
    """The same for any multiple of a window, without strides in memory."""
    if not is_traced(value.shape[1]):
        return ctx.keep(attention, attn_probs, value, window_overlap)  # type: ignore[no-any-return]
    return _values(attn_probs, value, window_overlap)


def _scores(query: Tensor, key: Tensor, side: int) -> Tensor:
    """Products of queries and keys, [N, length, heads, D] each, as [N, length, heads, 2 side + 1].

    A window has `side` places on each side of its own; those beyond the ends are -inf.
    """
    batch, size, heads, width = query.shape
    queries = query.transpose(1, 2).reshape(batch, heads, size // side, side, width)
    products = queries @ _with_neighbours(key, side).transpose(-2, -1)
    # Row by row, the window begins one place further: rows one longer have it in one column.
    filled = F.pad(products.flatten(-2), [0, side])
    rows = filled.reshape(batch, heads, size // side, side, 3 * side + 1)
    windows = rows[..., : 2 * side + 1]
    scores = windows.reshape(batch, heads, size, 2 * side + 1).transpose(1, 2)
    places = torch.arange(size, device=query.device).unsqueeze(1)
    places = places + torch.arange(-side, side + 1, device=query.device)
    inside = (places >= 0) & (places < size)
    return torch.where(inside.unsqueeze(1), scores, float("-inf"))


def _values(weights: Tensor, value: Tensor, side: int) -> Tensor:
    """Values [N, length, heads, D] of each window, by weights [N, length, heads, 2 side + 1]."""
    batch, size, heads, width = value.shape
    count = size // side
    rows = weights.transpose(1, 2).reshape(batch, heads, count, side, 2 * side + 1)
    # The way back: in rows one shorter, the window begins one place further each.
    moved = F.pad(rows, [0, side]).flatten(-2)[..., : 3 * side * side]
    moved = moved.reshape(batch, heads, count, side, 3 * side)
    result: Tensor = moved @ _with_neighbours(value, side)
    return result.reshape(batch, heads, size, width).transpose(1, 2)


def _with_neighbours(x: Tensor, side: int) -> Tensor:
    """[N, length, heads, D] in blocks, each between its neighbours: [N, heads, n, 3 side, D]."""
    batch, size, heads, width = x.shape
    count = size // side
    filled = F.pad(x.transpose(1, 2), [0, 0, side, side])
    blocks = filled.reshape(batch, heads, count + 2, side, width)
    return torch.cat([blocks[:, :, place : count + place] for place in range(3)], 3)
