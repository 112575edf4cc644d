"""`squeeze`.

The new exporter removes a dynamic dimension that is not 1 in the example, where torch leaves it;
the tracer refuses several dimensions. `squeeze()` without dimensions is right as it is: its rank
follows the sizes, in the graph as in torch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from modelport.capture.rewriters.library._common import example_of, rewrites
from modelport.capture.rewriters.report import Context


@rewrites("torch.squeeze", "torch.Tensor.squeeze")
def squeeze(ctx: Context, input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Removes one dimension after the other, and only those that are 1 in the example."""
    dynamic = any(isinstance(size, torch.SymInt) for size in input.shape)
    if dim is None:
        return ctx.keep(input)  # type: ignore[no-any-return]
    if not dynamic and isinstance(dim, int):
        return ctx.keep(input, dim)  # type: ignore[no-any-return]
    dims = [dim] if isinstance(dim, int) else list(dim)
    removed = [axis for axis in dims if _is_removed(input.shape[axis])]
    if isinstance(dim, int) and removed:
        return ctx.keep(input, dim)  # type: ignore[no-any-return]
    for axis in sorted((axis % input.ndim for axis in removed), reverse=True):
        input = ctx.original(input, axis)
    return input


def _is_removed(size: int | torch.SymInt | Tensor) -> bool:
    if isinstance(size, Tensor):
        return True  # A size while tracing; the tracer decides by itself.
    return example_of(size) == 1
