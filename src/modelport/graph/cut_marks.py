"""Marks: names that were given to tensors in PyTorch code, as places to cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir

MARK_KEY = "modelport.mark:"
"""Prefix of the metadata key of a tensor with a mark; the mark's name follows."""


def marked(graph: onnx_ir.Graph) -> dict[str, list[onnx_ir.Value]]:
    """The marked tensors of a graph, by the marks' names, in topological order.

    Args:
        graph: The graph; tensors inside of its nodes are not looked at.
    """
    found: dict[str, list[onnx_ir.Value]] = {}
    for value in (*graph.inputs, *(value for node in graph for value in node.outputs)):
        for key in value.metadata_props:
            if key.startswith(MARK_KEY):
                found.setdefault(key[len(MARK_KEY) :], []).append(value)
    return found
