"""``twice``: one template, every element type."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import modelport
from modelport.ops.declaration import DTYPES


@modelport.operator("trial::twice", kernels=["kernel.cpp"], dtypes=DTYPES)
def twice(x: Tensor) -> Tensor:
    """x + x; of booleans, x."""
    return x.clone() if x.dtype is torch.bool else x + x


@twice.shapes
def _(x: modelport.TensorInfo) -> modelport.TensorInfo:
    return x


@twice.cases
def _(draw: Any) -> Any:
    shape = [draw.size() for _ in range(draw.integer(0, 4))]
    return (draw.tensor(shape, draw.choice(DTYPES)),), {}
