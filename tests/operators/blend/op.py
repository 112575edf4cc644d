"""``blend``: everything that a declaration may have, in a domain of its own."""

from __future__ import annotations

from typing import Any

from torch import Tensor

import modelport

DTYPES = ("float32", "float64")


@modelport.operator("tinted::blend", kernels=["kernel.cpp"], dtypes=DTYPES)
def blend(a: Tensor, b: Tensor, *, share: float = 0.5) -> Tensor:
    """a * b * share + b."""
    return a * b * share + b


@blend.shapes
def _(a: modelport.TensorInfo, b: modelport.TensorInfo, *, share: float) -> modelport.TensorInfo:
    return a


@blend.onnx
def _(op: Any, a: Any, b: Any, *, share: float) -> Any:
    return op.Add(op.Mul(op.Mul(a, b), share), b)


@blend.backward
def _(gradient: Tensor, a: Tensor, b: Tensor, *, share: float) -> Any:
    return gradient * b * share, gradient * (a * share + 1)


@blend.cases
def _(draw: Any) -> Any:
    shape = [draw.size(high=9) for _ in range(draw.integer(0, 3))]
    dtype = draw.choice(DTYPES)
    return (draw.tensor(shape, dtype), draw.tensor(shape, dtype)), {"share": draw.real(-1, 1)}
