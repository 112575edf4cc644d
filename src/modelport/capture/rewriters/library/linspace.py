"""`linspace` with a number of steps that the graph computes.

The new exporter fixes the dimension; the tracer gives NaN for one step, and fractions where
integers were asked for.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from modelport.capture.rewriters.library._common import is_traced, is_tracing, rewrites
from modelport.capture.rewriters.report import Context


@rewrites("torch.linspace")
def linspace(
    ctx: Context,
    start: Any,
    end: Any,
    steps: Any,
    *,
    dtype: torch.dtype | None = None,
    device: Any = None,
    **options: Any,
) -> Tensor:
    """Steps from both ends to the middle, as torch does, so that both ends are exact."""
    integers = dtype is not None and not dtype.is_floating_point
    if not is_traced(steps) and not (integers and is_tracing()):
        return ctx.keep(  # type: ignore[no-any-return]
            start, end, steps, dtype=dtype, device=device, **options
        )
    # torch computes integers in single precision, and cuts the fractions off.
    wanted = dtype or torch.get_default_dtype()
    real = torch.float32 if integers else wanted
    places = torch.arange(steps, device=device)
    # A single step divides by one, not by zero, and stays at the start.
    intervals = places.new_ones(()) * (steps - 1)
    step = (end - start) / intervals.clamp(min=1).to(real)
    ascending = start + step * places.to(real)
    descending = end - step * (steps - 1 - places).to(real)
    values = torch.where(places * 2 < steps, ascending, descending)
    return values.to(wanted)
