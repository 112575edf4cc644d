"""Relative positions of transformers' Funnel (Z. Dai et al., Funnel-Transformer, 2020, appendix
A.2.1), with a dynamic length.

Positions are counted in lists of Python, which the exporters fix at the example's length.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from modelport.capture.rewriters.library._common import is_traced, rewrites
from modelport.capture.rewriters.report import Context


@rewrites("transformers.models.funnel.modeling_funnel.FunnelAttentionStructure.get_position_embeds")
def position_embeds(
    ctx: Context, structure: nn.Module, seq_len: Any, dtype: torch.dtype, device: torch.device
) -> Any:
    """The embeddings of relative positions in each block, and from each block to the one before.

    In block b, positions have the distance 2**b, and the first, which is the class's own or 0,
    has this distance to the second.
    """
    config: Any = structure.config
    if config.attention_type == "factorized" or structure.training or not is_traced(seq_len):
        return ctx.keep(structure, seq_len, dtype, device)
    result: list[list[Tensor | None]] = []
    length, distance = seq_len, 1
    pooling: Tensor | None = None
    for block in range(config.num_blocks):
        if block > 0:
            before = length
            whole = config.separate_cls and not config.truncate_seq
            length = before // 2 + 1 if whole else (before + 1) // 2
            first = -distance if config.separate_cls else 0
            steps = 2 * length - torch.arange(2 * length + before, device=device)
            pooling = _embed(first + distance * steps, config.d_model, dtype)
            distance *= 2
        steps = length - torch.arange(2 * length, device=device)
        result.append([_embed(distance * steps, config.d_model, dtype), pooling])
    return result


def _embed(positions: Tensor, width: int, dtype: torch.dtype) -> Tensor:
    """Sines and cosines of positions, int64 [n], as [n, width]."""
    half = width // 2
    exponents = torch.arange(half, device=positions.device).to(dtype) / half
    angles = positions.to(dtype).unsqueeze(1) * (1 / 10000**exponents)
    return torch.cat([angles.sin(), angles.cos()], -1)
