"""Floor division: the tracer cuts towards zero, so that -(-n // 32) is no ceiling any more."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from modelport.capture.rewriters.library._common import rewrites
from modelport.capture.rewriters.report import Context


@rewrites(
    "torch.floor_divide",
    "torch.Tensor.floor_divide",
    "torch.Tensor.__floordiv__",
    capture="trace",
)
def floor_divide(ctx: Context, input: Any, other: Any) -> Tensor:
    """Asks for the floor by name."""
    return torch.div(input, other, rounding_mode="floor")


@rewrites("torch.Tensor.__rfloordiv__", capture="trace")
def reflected_floor_divide(ctx: Context, input: Tensor, other: Any) -> Tensor:
    """``other // input``."""
    return torch.div(torch.as_tensor(other, device=input.device), input, rounding_mode="floor")
