"""Blocks of transformers' LongT5 (M. Guo et al., LongT5, 2022, section 3.1), with a dynamic length.

Whether a length divides by the size of a block is decided in Python, and both exporters fix what
holds for the example.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from modelport.capture.rewriters.library._common import is_traced, rewrites, steps_over
from modelport.capture.rewriters.report import Context


@rewrites("transformers.models.longt5.modeling_longt5._split_into_blocks")
def split_into_blocks(ctx: Context, x: Tensor, block_len: int, dim: int) -> Tensor:
    """Cuts a dimension into blocks, the last of which is filled up with zeros."""
    dim %= x.ndim
    size = x.shape[dim]
    if not is_traced(size):
        return ctx.keep(x, block_len, dim)  # type: ignore[no-any-return]
    count = steps_over(size, block_len)
    # F.pad begins with the last axis.
    behind = [0, 0] * (x.ndim - 1 - dim)
    filled = F.pad(x, [*behind, 0, count * block_len - size])
    return filled.reshape(*x.shape[:dim], count, block_len, *x.shape[dim + 1 :])
