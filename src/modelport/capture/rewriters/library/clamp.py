"""`clamp` of integers by fractions: torch gives floats, the tracer integers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from modelport.capture.rewriters.library._common import rewrites
from modelport.capture.rewriters.report import Context


@rewrites("torch.clamp", "torch.clip", "torch.Tensor.clamp", "torch.Tensor.clip", capture="trace")
def clamp(ctx: Context, input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Converts to the dtype of the result first."""
    dtype = input.dtype
    for bound in (min, max):
        if bound is not None:
            other = torch.result_type(input, bound)
            dtype = torch.promote_types(dtype, other)
    if dtype == input.dtype:
        return ctx.keep(input, min, max)  # type: ignore[no-any-return]
    return ctx.original(input.to(dtype), min, max)  # type: ignore[no-any-return]
