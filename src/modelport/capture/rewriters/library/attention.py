"""`scaled_dot_product_attention`.

The new exporter takes four dimensions only, fails on grouped queries with a dynamic number of
heads, and averages all values where a boolean mask leaves a query none (torch gives zeros). The
tracer has no grouped queries. Both give NaN where a mask of floats leaves a query none.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from modelport.capture.rewriters.library._common import rewrites
from modelport.capture.rewriters.report import Context


@rewrites("torch.nn.functional.scaled_dot_product_attention")
def scaled_dot_product_attention(
    ctx: Context,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Brings the operands to the form that the exporters know, and zeroes masked queries."""
    if not enable_gqa and query.ndim == 4 and attn_mask is None:
        return ctx.keep(  # type: ignore[no-any-return]
            query, key, value, None, dropout_p, is_causal, scale=scale
        )
    if enable_gqa:
        key, value = _repeat_heads(key, query), _repeat_heads(value, query)
    lifted = query.ndim == 3
    if lifted:
        query, key, value = query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1)
        if attn_mask is not None and attn_mask.ndim == 3:
            attn_mask = attn_mask.unsqueeze(1)
    result: Any = ctx.original(query, key, value, attn_mask, dropout_p, is_causal, scale=scale)
    if attn_mask is not None:
        allowed = attn_mask if attn_mask.dtype == torch.bool else attn_mask != -math.inf
        attended = allowed.any(-1, keepdim=True)
        result = torch.where(attended, result, torch.zeros_like(result))
    return result.squeeze(1) if lifted else result  # type: ignore[no-any-return]


def _repeat_heads(states: Tensor, query: Tensor) -> Tensor:
    """(N, heads, L, E) to (N, query heads, L, E), each head next to its copies."""
    copies = query.shape[-3] // states.shape[-3]
    *batch, heads, length, width = states.shape
    repeated = states.unsqueeze(-3).expand(*batch, heads, copies, length, width)
    return repeated.flatten(-4, -3)
