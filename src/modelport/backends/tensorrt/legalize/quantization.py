"""Quantization in other forms than TensorRT's, which is explicit, signed and symmetric."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from modelport.arrays import Array
from modelport.ir.constants import constant
from modelport.ir.values import input_of, rank
from modelport.passes.expand import Expansion, Writer


class ExpandQuantization(Expansion):
    """Quantized biases, unsigned weights, and operators on quantized tensors.

    A `DequantizeLinear` of a constant int32 (a quantized bias) is a constant of floats; one of
    constant uint8 with zero points of 128 is the same of int8 with 0. `QLinearConv` and
    `QLinearMatMul` are the operator on floats between `DequantizeLinear` and `QuantizeLinear`:
    TensorRT makes int8 of that again. Zero points other than 0 stay.
    """

    operators = ("DequantizeLinear", "QLinearConv", "QLinearMatMul")
    lacking = "this form of quantization"
    instead = "float biases and signed, symmetric Q/DQ"

    def expand(self, node: ir.Node, write: Writer) -> Sequence[ir.Value | None] | None:
        """Writes the form that TensorRT has."""
        if node.op_type == "DequantizeLinear":
            return _dequantized(node, write)
        if node.op_type == "QLinearMatMul":
            x, y = node.inputs[:3], node.inputs[3:6]
            if not all(map(_symmetric, (x[2], y[2], node.inputs[7]))):
                return None
            product = write("MatMul", write("DequantizeLinear", *x), write("DequantizeLinear", *y))
            return [write("QuantizeLinear", product, *node.inputs[6:8])]
        return _convolved(node, write)


def _dequantized(node: ir.Node, write: Writer) -> Sequence[ir.Value] | None:
    x, scale, zero = constant(node.inputs[0]), constant(node.inputs[1]), constant(input_of(node, 2))
    if x is None or scale is None or (input_of(node, 2) is not None and zero is None):
        return None
    axis = node.attributes.get_int("axis", 1)
    if node.attributes.get_int("block_size", 0):
        return None
    if x.dtype == np.int32:
        factor = _along(scale, x, axis)
        values = x if zero is None else x - _along(zero, x, axis)
        return [write.constant((values.astype(np.float64) * factor).astype(scale.dtype))]
    if x.dtype == np.uint8 and zero is not None and np.all(zero == 128):
        signed = (x.astype(np.int16) - 128).astype(np.int8)
        zeros = np.zeros(zero.shape, np.int8)
        return [write("DequantizeLinear", signed, node.inputs[1], zeros, axis=axis)]
    return None


def _convolved(node: ir.Node, write: Writer) -> Sequence[ir.Value] | None:
    x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero = node.inputs[:8]
    if not all(map(_symmetric, (x_zero, w_zero, y_zero))):
        return None
    bias = constant(input_of(node, 8))
    scales = constant(x_scale), constant(w_scale)
    floats = []
    if input_of(node, 8) is not None:
        if bias is None or scales[0] is None or scales[1] is None:
            return None
        factor = scales[0].astype(np.float64) * scales[1]
        floats = [write.constant((bias * factor).astype(scales[0].dtype))]
    attributes = {name: item.value for name, item in node.attributes.items()}
    per_channel = {} if rank(w_scale) in (0, None) else {"axis": 0}
    made = write(
        "Conv",
        write("DequantizeLinear", x, x_scale, x_zero),
        write("DequantizeLinear", w, w_scale, w_zero, **per_channel),
        *floats,
        **attributes,
    )
    return [write("QuantizeLinear", made, y_scale, y_zero)]


def _symmetric(zero: ir.Value | None) -> bool:
    value = constant(zero)
    return value is not None and value.dtype == np.int8 and not value.any()


def _along(values: Array, x: Array, axis: int) -> Array:
    """Values of an axis, shaped so that they broadcast over a tensor."""
    if values.ndim == 0:
        return values
    shape = [1] * x.ndim
    shape[axis] = -1
    return values.reshape(shape)
