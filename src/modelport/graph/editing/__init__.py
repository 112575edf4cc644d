"""Editing a graph by hand. Each function returns a copy with one change; weights are shared."""

from modelport.graph.editing.names import rename
from modelport.graph.editing.nodes import delete_node, insert_node, replace_node
from modelport.graph.editing.opsets import convert_opset
from modelport.graph.editing.sizes import reshape_targets, set_dims
from modelport.graph.editing.weights import replace_initializer

__all__ = [
    "convert_opset",
    "delete_node",
    "insert_node",
    "rename",
    "replace_initializer",
    "replace_node",
    "reshape_targets",
    "set_dims",
]
