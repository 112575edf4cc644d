"""`layer_norm` over a shape that the graph computes, which the tracer refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from modelport.capture.rewriters.library._common import is_traced, rewrites
from modelport.capture.rewriters.report import Context


@rewrites("torch.nn.functional.layer_norm", capture="trace")
def layer_norm(
    ctx: Context,
    input: Tensor,
    normalized_shape: Sequence[Any],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalizes over as many of the last axes as the shape has."""
    if not any(is_traced(size) for size in normalized_shape):
        return ctx.keep(  # type: ignore[no-any-return]
            input, normalized_shape, weight, bias, eps
        )
    axes = list(range(-len(normalized_shape), 0))
    centred = input - input.mean(axes, keepdim=True)
    normal = centred * torch.rsqrt((centred * centred).mean(axes, keepdim=True) + eps)
    scaled = normal if weight is None else normal * weight
    return scaled if bias is None else scaled + bias
