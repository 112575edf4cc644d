"""Stable sorting, for which both exporters have nothing.

ONNX's TopK puts the lower index first among equal values, so every exported sort is stable.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from modelport.capture.rewriters.library._common import rewrites
from modelport.capture.rewriters.report import Context


@rewrites("torch.sort", "torch.Tensor.sort")
def sort(
    ctx: Context,
    input: Tensor,
    dim: int = -1,
    descending: bool = False,
    stable: bool = False,
    **options: Any,
) -> Any:
    """Sorts without asking for what it gets in any case."""
    if not stable:
        return ctx.keep(input, dim=dim, descending=descending, **options)
    return ctx.original(input, dim=dim, descending=descending, **options)


@rewrites("torch.argsort", "torch.Tensor.argsort")
def argsort(
    ctx: Context, input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False
) -> Tensor:
    """The indices of a stable sort."""
    if not stable:
        return ctx.keep(input, dim, descending)  # type: ignore[no-any-return]
    return torch.sort(input, dim=dim, descending=descending)[1]
