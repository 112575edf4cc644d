"""``my_lib::my_add``: alpha * a + beta * b."""

from __future__ import annotations

from torch import Tensor

import modelport


@modelport.operator("my_lib::my_add", kernels=["kernel.cpp"], dtypes=["float32", "float64"])
def my_add(a: Tensor, b: Tensor, *, alpha: float = 2.0, beta: float = 1.0) -> Tensor:
    """alpha * a + beta * b, of two tensors of one shape."""
    return alpha * a + beta * b


@my_add.shapes
def _(a: modelport.TensorInfo, b: modelport.TensorInfo, **_: float) -> modelport.TensorInfo:
    return a
