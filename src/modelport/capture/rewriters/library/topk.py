"""`topk`.

The tracer bakes ``min(k, n)`` in, and ONNX Runtime refuses a k beyond the size. TensorRT refuses a
k beyond 3840 (its operator documentation, TopK); what it is given instead has been checked in ONNX
Runtime, and has not been run on hardware yet.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from modelport.capture.rewriters.library._common import rewrites
from modelport.capture.rewriters.report import Context

TENSORRT_LIMIT = 3840


@rewrites("torch.topk", "torch.Tensor.topk", capture="trace")
def topk(ctx: Context, input: Tensor, k: Any, dim: int = -1, *args: Any, **kwargs: Any) -> Any:
    """Takes no more than there are."""
    if not isinstance(k, Tensor):
        size: Any = input.shape[dim]
        k = torch.minimum(torch.as_tensor(size), torch.tensor(k))
    return ctx.original(input, k, dim, *args, **kwargs)


@rewrites("torch.topk", "torch.Tensor.topk", target=("tensorrt", "tensorrt-rtx"))
def topk_for_tensorrt(
    ctx: Context,
    input: Tensor,
    k: Any,
    dim: int = -1,
    largest: bool = True,
    sorted: bool = True,
) -> Any:
    """Takes 3840 at a time, and puts what was taken out of reach.

    An element that has the worst value there is (-inf, +inf) may be taken twice.
    """
    if not isinstance(k, int) or k <= TENSORRT_LIMIT:
        return ctx.keep(input, k, dim, largest, True)
    worst = _worst_value(input.dtype, largest)
    values, indices = [], []
    left = input
    for taken in range(0, k, TENSORRT_LIMIT):
        value, index = ctx.original(left, min(TENSORRT_LIMIT, k - taken), dim, largest, True)
        values.append(value)
        indices.append(index)
        left = left.scatter(dim, index, worst)
    return torch.cat(values, dim), torch.cat(indices, dim)


def _worst_value(dtype: torch.dtype, largest: bool) -> float | int:
    if dtype.is_floating_point:
        return -math.inf if largest else math.inf
    limits = torch.iinfo(dtype)
    return limits.min if largest else limits.max
