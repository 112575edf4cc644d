"""Values: constants, and one value in place of another."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from modelport.arrays import Array

INSTEAD_OF = "modelport.instead_of"
"""Key of a node's metadata: the operator in whose place it stands, where one became several."""


def constant(value: ir.Value | None, most: int = 1 << 16) -> Array | None:
    """The array of a constant that no caller can override.

    Args:
        value: A value of the graph.
        most: Elements from which on it is not read.

    Returns:
        None where it is no constant, or too large.
    """
    if value is None or value.is_graph_input():
        return None
    tensor = value.const_value
    if tensor is None or tensor.size > most:
        return None
    return np.asarray(tensor.numpy())


def add_constant(graph: ir.Graph, name: str, array: Array) -> ir.Value:
    """Adds an initializer to a graph under a name that is not taken yet.

    Args:
        graph: The graph.
        name: The name wanted.
        array: What it holds.
    """
    free, count = name, 0
    while free in graph.initializers:
        count += 1
        free = f"{name}_{count}"
    tensor = ir.tensor(array, name=free)
    value = ir.Value(
        name=free, type=ir.TensorType(tensor.dtype), shape=ir.Shape(array.shape), const_value=tensor
    )
    graph.register_initializer(value)
    return value


def replace_value(old: ir.Value, new: ir.Value) -> bool:
    """Lets all that read one value read another.

    Args:
        old: What a node makes; the node itself stays, for dead code removal.
        new: What is equal to it.

    Returns:
        False, and nothing is changed, where `old` is an output of a graph that `new` cannot be:
        an input, an initializer, an output already, or a value of another graph.
    """
    if old.is_graph_output():
        producer, other = new.producer(), old.producer()
        if producer is None or other is None or new.is_graph_output():
            return False
        if producer.graph is not other.graph:
            return False
    if new.type is None:
        new.type = old.type
    if new.shape is None:
        new.shape = old.shape
    if old.is_graph_output():
        name = old.name
        new.metadata_props.update(old.metadata_props)
        old.replace_all_uses_with(new, replace_graph_outputs=True)
        old.name = None
        new.name = name
    else:
        old.replace_all_uses_with(new)
    return True


def is_onnx(node: ir.Node, *operators: str) -> bool:
    """Whether a node is one of the standard's operators named."""
    return node.domain in ("", "ai.onnx") and node.op_type in operators
