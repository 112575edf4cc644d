"""Weights in 8 or 4 bits: symmetric, with a scale for every channel or block."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx_ir as ir

from modelport.arrays import Array
from modelport.ir.constants import add_constant


def quantize_weight(array: Array, axis: int | None, levels: int = 127) -> tuple[Array, Array]:
    """Rounds weights to 8 bits or fewer.

    The largest magnitude of a channel becomes the last level; -128 is not used, so that the range
    is the same on both sides (B. Jacob et al., 2018, section 3).

    Args:
        array: float32, any shape.
        axis: The axis of the channels; None for one scale for all.
        levels: Steps from zero to the end, 127 at most.

    Returns:
        int8 of the same shape, and the scales, float32 [channels] or [].
    """
    others = tuple(index for index in range(array.ndim) if index != axis)
    largest = np.abs(array).max(axis=None if axis is None else others, initial=0.0)
    scales = np.asarray(_scale(largest, levels))
    shape = [1] * array.ndim
    if axis is not None:
        shape[axis] = -1
    steps = scales.reshape(shape)
    return np.clip(np.rint(array / steps), -levels, levels).astype(np.int8), scales


def quantize_blocks(array: Array, bits: int, block: int) -> tuple[Array, Array]:
    """Rounds the weights of a product to few bits, with a scale for every block of a column.

    Args:
        array: float32 [K, N]; K is a multiple of the block.
        bits: 4 or 8.
        block: Rows that share a scale.

    Returns:
        int4 or int8 [K, N], and the scales, float32 [K / block, N].
    """
    rows, columns = array.shape
    levels = 2.0 ** (bits - 1) - 1.0
    blocks = array.reshape(rows // block, block, columns)
    scales = _scale(np.abs(blocks).max(axis=1), levels)
    rounded = np.clip(np.rint(blocks / scales[:, None]), -levels, levels).reshape(rows, columns)
    return rounded.astype(ml_dtypes.int4 if bits == 4 else np.int8), scales


def _scale(largest: Array, levels: float) -> Array:
    """Scales that reach the largest magnitude; 1 for zeros alone."""
    scales: Array = np.where(largest > 0.0, largest / np.float32(levels), 1.0).astype(np.float32)
    return np.maximum(scales, np.finfo(np.float32).tiny)


def dequantized(array: Array, scales: Array, axis: int | None) -> Array:
    """Values of quantized weights after dequantization by a runtime, float32."""
    shape = [1] * array.ndim
    if axis is not None:
        shape[axis] = -1
    product: Array = array.astype(np.float32) * scales.reshape(shape)
    return product


def add_dequantized(
    node: ir.Node, value: ir.Value, array: Array, scales: Array, attributes: dict[str, int]
) -> ir.Value:
    """Inserts rounded weights and a DequantizeLinear before a node.

    Args:
        node: The node that reads the weights.
        value: The weights as they were.
        array: The rounded weights.
        scales: Their scales.
        attributes: Those of the DequantizeLinear.

    Returns:
        The weights as the node is to read them.
    """
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    inputs = [
        add_constant(graph, f"{value.name}_quantized", array),
        add_constant(graph, f"{value.name}_scale", scales),
    ]
    reader = ir.Node(
        "",
        "DequantizeLinear",
        inputs,
        [ir.AttrInt64(name, number) for name, number in attributes.items()],
        name=f"{value.name}_DequantizeLinear",
        num_outputs=1,
    )
    result = reader.outputs[0]
    result.name = f"{value.name}_dequantized"
    result.type, result.shape = ir.TensorType(ir.DataType.FLOAT), value.shape
    graph.insert_before(node, reader)
    return result
