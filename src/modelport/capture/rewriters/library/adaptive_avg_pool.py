"""Adaptive average pooling of a dynamic size.

The new exporter takes the windows of the example's size (wrong values at another one) and has
nothing for three dimensions; the tracer refuses sizes that it does not know, or that are no
multiples of the output's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from modelport.capture.rewriters.library._common import is_traced, rewrites
from modelport.capture.rewriters.report import Context


@rewrites(
    "torch.nn.functional.adaptive_avg_pool1d",
    "torch.nn.functional.adaptive_avg_pool2d",
    "torch.nn.functional.adaptive_avg_pool3d",
)
def adaptive_avg_pool(
    ctx: Context, input: Tensor, output_size: int | Sequence[int | None] | None
) -> Tensor:
    """Averages along one axis after the other, by a product with a matrix made from the size."""
    rank = int(ctx.name[-2])
    wanted: Sequence[Any] = (
        output_size if isinstance(output_size, Sequence) else [output_size] * rank
    )
    if len(wanted) == 1:
        wanted = [wanted[0]] * rank
    sizes = input.shape[-rank:]
    known = not any(is_traced(size) for size in sizes) and rank < 3
    if known or (rank == 2 and all(size == 1 for size in wanted)):
        return ctx.keep(input, output_size)  # type: ignore[no-any-return]
    for axis, size, new_size in zip(range(-rank, 0), sizes, wanted, strict=True):
        if new_size is None:
            continue
        if not is_traced(new_size) and new_size == 1:
            input = input.mean(axis, keepdim=True)
        else:
            weights = _weights(size, new_size, input)
            input = torch.matmul(input.transpose(axis, -1), weights).transpose(axis, -1)
    return input


def _weights(size: Any, new_size: Any, like: Tensor) -> Tensor:
    """The matrix (size, new_size) of the windows: window i covers i*n//m to ceil((i+1)*n/m)."""
    windows = torch.arange(new_size, device=like.device)
    start = torch.div(windows * size, new_size, rounding_mode="trunc")
    end = torch.div((windows + 1) * size + (new_size - 1), new_size, rounding_mode="trunc")
    places = torch.arange(size, device=like.device).unsqueeze(1)
    inside = (places >= start) & (places < end)
    return inside.to(like.dtype) / (end - start).to(like.dtype)
