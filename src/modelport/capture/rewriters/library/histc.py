"""`histc`, by which mixtures of experts count the rows of each; the tracer lacks it."""

from __future__ import annotations

import torch
from torch import Tensor

from modelport.capture.rewriters.library._common import rewrites
from modelport.capture.rewriters.report import Context


@rewrites("torch.histc", "torch.Tensor.histc", capture="trace")
def histc(ctx: Context, input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many values lie in each of some bins of one width; those outside count nowhere."""
    if min >= max:
        # The range is that of the values themselves.
        return ctx.keep(input, bins, min, max)  # type: ignore[no-any-return]
    values = input.reshape(-1)
    bin = ((values - min) * bins / (max - min)).floor()
    # The last one is closed on both sides.
    bin = torch.where(values == max, bins - 1.0, bin)
    inside = (values >= min) & (values <= max)
    found = (bin.unsqueeze(1) == torch.arange(bins, device=input.device)) & inside.unsqueeze(1)
    return found.to(input.dtype).sum(0)
