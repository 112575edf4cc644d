"""Constants of a graph: reading and adding them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from modelport.arrays import Array

if TYPE_CHECKING:
    import onnx_ir


def tensor_of(
    value: onnx_ir.Value | None, *, default: bool = False
) -> onnx_ir.TensorProtocol | None:
    """The tensor of an initializer or of a `Constant` node.

    Args:
        value: A value of a graph.
        default: Whether the default of an input counts, which a caller may override.

    Returns:
        None if the value is not a constant.
    """
    import onnx_ir

    if value is None or (value.is_graph_input() and not default):
        return None
    return onnx_ir.convenience.get_const_tensor(value)


def constant(value: onnx_ir.Value | None, most: int = 1 << 16) -> Array | None:
    """The array of a constant that no caller can override.

    Args:
        value: A value of the graph.
        most: Elements beyond which it is not read.

    Returns:
        None if it is not a constant, or too large.
    """
    tensor = tensor_of(value)
    return None if tensor is None or tensor.size > most else np.asarray(tensor.numpy())


def add_constant(graph: onnx_ir.Graph, name: str, array: Array) -> onnx_ir.Value:
    """Adds an initializer to a graph, under its name or the name and a number.

    Args:
        graph: The graph.
        name: The name wanted.
        array: The elements.
    """
    import onnx_ir

    free, count = name, 0
    while free in graph.initializers:
        count += 1
        free = f"{name}_{count}"
    tensor = onnx_ir.tensor(array, name=free)
    value = onnx_ir.Value(
        name=free,
        type=onnx_ir.TensorType(tensor.dtype),
        shape=onnx_ir.Shape(array.shape),
        const_value=tensor,
    )
    graph.register_initializer(value)
    return value


def total_nbytes(tensors: Iterable[onnx_ir.TensorProtocol | None]) -> int:
    """Bytes of the elements of all tensors."""
    return sum(nbytes_of(tensor) for tensor in tensors if tensor is not None)


def nbytes_of(tensor: onnx_ir.TensorProtocol) -> int:
    """Bytes of a tensor's elements; of strings, those of the text."""
    import onnx_ir

    if tensor.dtype == onnx_ir.DataType.STRING:
        return sum(map(len, tensor.numpy().reshape(-1).tolist()))
    return tensor.nbytes
