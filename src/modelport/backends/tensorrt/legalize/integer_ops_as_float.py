"""Integers and truths: operators that TensorRT has for floats alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from modelport.ir.values import input_of, rank
from modelport.passes.expand import Expansion, Operand, Writer

_INTEGERS = (ir.DataType.INT32, ir.DataType.INT64)


class ExpandIntegers(Expansion):
    """`Relu`, `PRelu`, `MatMul`, `Gemm` and `BitwiseNot` of int32 and int64, and the largest or
    smallest of truths.

    A matrix product is the sum of the products.
    """

    operators = ("Relu", "PRelu", "MatMul", "Gemm", "BitwiseNot", "ReduceMax", "ReduceMin")
    lacking = "this operator on integers or truths"
    instead = "arithmetic that it has on them"

    def expand(self, node: ir.Node, write: Writer) -> Sequence[ir.Value | None] | None:
        """Writes the arithmetic."""
        x = node.inputs[0]
        if x is None or x.dtype is None:
            return None
        if node.op_type in ("ReduceMax", "ReduceMin"):
            return _reduced(node, x, write) if x.dtype is ir.DataType.BOOL else None
        if x.dtype not in _INTEGERS:
            return None
        dtype = x.dtype.numpy()
        zero, one = np.asarray(0, dtype), np.asarray(1, dtype)
        match node.op_type:
            case "Relu":
                return [write("Max", x, zero)]
            case "PRelu":
                slope = node.inputs[1]
                return [write("Where", write("Less", x, zero), write("Mul", x, slope), x)]
            case "BitwiseNot":
                return [write("Sub", write("Neg", x), one)]
            case "Gemm":
                return _gemm(node, x, write)
        return _matmul(x, node.inputs[1], write)


def _reduced(node: ir.Node, x: ir.Value, write: Writer) -> Sequence[ir.Value]:
    attributes = {name: item.value for name, item in node.attributes.items()}
    numbers = write("Cast", x, to=ir.DataType.INT32)
    made = write(node.op_type, numbers, input_of(node, 1), **attributes)
    return [write("Cast", made, to=ir.DataType.BOOL)]


def _matmul(x: ir.Value, other: Operand, write: Writer) -> Sequence[ir.Value] | None:
    ranks = rank(x), rank(other) if isinstance(other, ir.Value) else None
    if None in ranks or ranks[0] == 1 or ranks[1] == 1:
        return None
    return [_product(x, other, write)]


def _product(x: Operand, other: Operand, write: Writer) -> ir.Value:
    products = write("Mul", write("Unsqueeze", x, [-1]), write("Unsqueeze", other, [-3]))
    total: ir.Value = write("ReduceSum", products, [-2], keepdims=0)
    return total


def _gemm(node: ir.Node, x: ir.Value, write: Writer) -> Sequence[ir.Value] | None:
    attributes = node.attributes
    if attributes.get_float("alpha", 1.0) != 1.0 or attributes.get_float("beta", 1.0) != 1.0:
        return None
    first, second, added = x, node.inputs[1], input_of(node, 2)
    if attributes.get_int("transA", 0):
        first = write("Transpose", first, perm=[1, 0])
    if attributes.get_int("transB", 0):
        second = write("Transpose", second, perm=[1, 0])
    product = _product(first, second, write)
    return [product if added is None else write("Add", product, added)]
