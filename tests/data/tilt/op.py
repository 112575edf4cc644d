"""``tilt``: the operator of a stored bundle, in a domain of its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import modelport


@modelport.operator("stored::tilt", kernels=["kernel.cpp"], dtypes=("float32",))
def tilt(x: Tensor, *, slope: float = 0.25) -> Tensor:
    """The positive values, and a share of the others."""
    return torch.where(x > 0, x, x * slope)


@tilt.shapes
def _(x: modelport.TensorInfo, *, slope: float) -> modelport.TensorInfo:
    return x


@tilt.cases
def _(draw: Any) -> Any:
    return (draw.tensor([draw.size(high=9)], "float32"),), {"slope": draw.real(-1, 1)}
