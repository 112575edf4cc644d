"""Choosing between booleans: ONNX Runtime has no Where for them, and the tracer crashes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from modelport.capture.rewriters.library._common import rewrites
from modelport.capture.rewriters.report import Context


@rewrites("torch.masked_fill", "torch.Tensor.masked_fill")
def masked_fill(ctx: Context, input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """Writes the choice as logic, for booleans."""
    if input.dtype != torch.bool:
        return ctx.keep(input, mask, value)  # type: ignore[no-any-return]
    return _choose(mask, value, input)


@rewrites("torch.Tensor.masked_fill_")
def masked_fill_(ctx: Context, input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """The same in place."""
    if input.dtype != torch.bool:
        return ctx.keep(input, mask, value)  # type: ignore[no-any-return]
    return input.copy_(_choose(mask, value, input))


@rewrites("torch.where")
def where(ctx: Context, condition: Tensor, *values: Any, **options: Any) -> Any:
    """Writes the choice as logic, for booleans."""
    if options or len(values) != 2 or not all(_is_boolean(value) for value in values):
        return ctx.keep(condition, *values, **options)
    return _choose(condition, *values)


def _is_boolean(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype == torch.bool


def _choose(condition: Tensor, value: Any, other: Tensor) -> Tensor:
    if not isinstance(value, Tensor):
        return other | condition if value else other & ~condition
    return (condition & value.to(torch.bool)) | (~condition & other)
