"""``foo``: a + b, the smallest operator of one's own."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from modelport.ops.decorator import operator
from modelport.ops.sampling import Draw
from modelport.ops.shapes import TensorInfo


@operator("modelport::foo", kernels=["kernel.cpp", "kernel.cu"])
def foo(a: Tensor, b: Tensor) -> Tensor:
    """a + b.

    Args:
        a: float32, any shape.
        b: float32, the shape of a.

    Returns:
        float32, the shape of a.
    """
    return a + b


@foo.shapes
def _(a: TensorInfo, b: TensorInfo) -> TensorInfo:
    return a


@foo.onnx
def _(op: Any, a: Any, b: Any) -> Any:
    return op.Add(a, b)


@foo.backward
def _(gradient: Tensor, a: Tensor, b: Tensor) -> Any:
    return gradient, gradient


@foo.cases
def _(draw: Draw) -> Any:
    shape = [draw.size() for _ in range(draw.integer(0, 4))]
    return (draw.tensor(shape), draw.tensor(shape)), {}
