"""``positive``: outputs whose size only the values decide."""

from __future__ import annotations

from typing import Any

from torch import Tensor

import modelport


@modelport.operator("trial::positive", kernels=["kernel.cpp"])
def positive(x: Tensor) -> tuple[Tensor, Tensor]:
    """The numbers above zero, and their places."""
    places = (x > 0).nonzero()[:, 0]
    return x[places], places


@positive.shapes
def _(x: modelport.TensorInfo) -> Any:
    size = modelport.DATA_DEPENDENT
    return x.like([size]), modelport.TensorInfo([size], "int64")


@positive.cases
def _(draw: Any) -> Any:
    return (draw.tensor([draw.size()]),), {}
