"""Pooling of one picture without a batch, for which the tracer forgets to add one."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from modelport.capture.rewriters.library._common import rewrites
from modelport.capture.rewriters.report import Context


@rewrites(
    *(
        f"torch.nn.functional.{kind}_pool{rank}d"
        for kind in ("max", "avg", "adaptive_max")
        for rank in (1, 2, 3)
    ),
    capture="trace",
)
def pool(ctx: Context, input: Tensor, *args: Any, **kwargs: Any) -> Any:
    """Pools a batch of one."""
    if input.ndim != int(ctx.name[-2]) + 1:
        return ctx.keep(input, *args, **kwargs)
    pooled = ctx.original(input.unsqueeze(0), *args, **kwargs)
    if isinstance(pooled, Tensor):
        return pooled.squeeze(0)
    return tuple(part.squeeze(0) for part in pooled)
