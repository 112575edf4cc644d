"""`any` and `all`.

The tracer casts to integers and adds up, so that 0.5, or 1 and -1, count as nothing, and writes an
invalid graph for `all` of numbers. The new exporter's `any` of nothing (no boxes left) is True.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from modelport.capture.rewriters.library._common import rewrites
from modelport.capture.rewriters.report import Context


@rewrites("torch.any", "torch.Tensor.any")
def any_(ctx: Context, input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Counts the elements that are not zero."""
    truth = input if input.dtype == torch.bool else input != 0
    return _decided(ctx, input, truth, lambda count: count > 0, *args, **kwargs)


@rewrites("torch.all", "torch.Tensor.all")
def all_(ctx: Context, input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Counts the elements that are zero."""
    truth = ~input if input.dtype == torch.bool else input == 0
    return _decided(ctx, input, truth, lambda count: count == 0, *args, **kwargs)


def _decided(
    ctx: Context,
    input: Tensor,
    counted: Tensor,
    decide: Callable[[Tensor], Tensor],
    dim: int | Sequence[int] | None = None,
    keepdim: bool = False,
    **options: Any,
) -> Tensor:
    if options:
        return ctx.keep(input, dim, keepdim, **options)  # type: ignore[no-any-return]
    return _like_input(decide(_count(counted, dim, keepdim)), input)


def _count(truth: Tensor, dim: int | Sequence[int] | None, keepdim: bool) -> Tensor:
    if dim is None:
        return truth.to(torch.int64).sum()
    return truth.to(torch.int64).sum(dim if isinstance(dim, int) else tuple(dim), keepdim=keepdim)


def _like_input(truth: Tensor, input: Tensor) -> Tensor:
    # torch answers in bytes where it is asked about bytes.
    return truth.to(torch.uint8) if input.dtype == torch.uint8 else truth
