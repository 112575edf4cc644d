"""``my_add``: alpha * a + beta * b."""

from __future__ import annotations

from typing import Any

import onnx_ir
from torch import Tensor

from modelport.ops.decorator import operator
from modelport.ops.sampling import Draw
from modelport.ops.shapes import TensorInfo

DTYPES = ("float32", "float64", "float16", "bfloat16", "int32", "int64")


@operator("modelport::my_add", kernels=["kernel.cpp", "kernel.cu"], dtypes=DTYPES)
def my_add(a: Tensor, b: Tensor, *, alpha: float = 2.0, beta: float = 1.0) -> Tensor:
    """alpha * a + beta * b.

    Args:
        a: Any shape.
        b: The shape and dtype of a.
        alpha: Factor of a; integers are multiplied as float64, and cut towards zero.
        beta: Factor of b.

    Returns:
        The sum, with the shape and dtype of a.
    """
    return (alpha * a.double() + beta * b.double()).to(a.dtype)


@my_add.shapes
def _(a: TensorInfo, b: TensorInfo, **_: float) -> TensorInfo:
    return a


@my_add.onnx
def _(op: Any, a: Any, b: Any, *, alpha: float, beta: float) -> Any:
    if a.dtype.is_floating_point():
        return op.Add(op.Mul(a, alpha), op.Mul(b, beta))
    x, y = (op.Cast(tensor, to=onnx_ir.DataType.DOUBLE) for tensor in (a, b))
    return op.CastLike(op.Add(op.Mul(x, alpha), op.Mul(y, beta)), a)


@my_add.backward
def _(gradient: Tensor, a: Tensor, b: Tensor, *, alpha: float, beta: float) -> Any:
    return alpha * gradient, beta * gradient


@my_add.cases
def _(draw: Draw) -> Any:
    shape = [draw.size() for _ in range(draw.integer(0, 4))]
    dtype = draw.choice(DTYPES)
    attributes = {"alpha": draw.real(-3, 3), "beta": draw.real(-3, 3)}
    return (draw.tensor(shape, dtype), draw.tensor(shape, dtype)), attributes
