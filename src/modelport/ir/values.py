"""Values of a graph: a node's inputs, shapes as far as they are known, and replacement."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir


def input_of(node: onnx_ir.Node, index: int) -> onnx_ir.Value | None:
    """An input of a node by its index; None where it is left out."""
    return node.inputs[index] if index < len(node.inputs) else None


def rank(value: onnx_ir.Value | None) -> int | None:
    """The rank of a value; None where it is not known."""
    return None if value is None or value.shape is None else len(value.shape)


def sizes(value: onnx_ir.Value | None) -> list[int] | None:
    """The shape of a value; None where a size of it is not fixed."""
    if value is None or value.shape is None:
        return None
    found = [size for size in value.shape if isinstance(size, int)]
    return found if len(found) == len(value.shape) else None


def replace_value(old: onnx_ir.Value, new: onnx_ir.Value) -> bool:
    """Replaces a value by another one in all nodes that read it.

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
