"""`roll`: the tracer refuses it without dims, is wrong for shifts beyond the size and bakes in
shifts made from a size; the new exporter fails on those.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from modelport.capture.rewriters.library._common import is_traced, is_tracing, rewrites
from modelport.capture.rewriters.report import Context


@rewrites("torch.roll", "torch.Tensor.roll")
def roll(ctx: Context, input: Tensor, shifts: Any, dims: Any = ()) -> Tensor:
    """Swaps the two parts of each axis, cut at the shift modulo the size."""
    shifts = list(shifts) if isinstance(shifts, Sequence) else [shifts]
    dims = list(dims) if isinstance(dims, Sequence) else [dims]
    if not is_tracing() and not any(is_traced(shift) for shift in shifts):
        return ctx.keep(input, shifts, dims)  # type: ignore[no-any-return]
    if not dims:
        return _roll_axis(input.reshape(-1), shifts[0], 0).reshape(input.shape)
    for shift, dim in zip(shifts, dims, strict=True):
        input = _roll_axis(input, shift, dim)
    return input


def _roll_axis(input: Tensor, shift: Any, dim: int) -> Tensor:
    size = input.shape[dim]
    # The remainder has the sign of the size: a shift to the left is one to the right as well.
    cut = size - shift % size
    first = input.narrow(dim, 0, cut)
    last = input.narrow(dim, cut, size - cut)
    return torch.cat([last, first], dim)
