"""Graphs inside of nodes: the branches of an If, the body of a Loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir


def subgraphs_of(attribute: onnx_ir.Attr) -> list[onnx_ir.Graph]:
    """The graphs that an attribute holds."""
    import onnx_ir

    if attribute.is_ref():
        return []
    if attribute.type is onnx_ir.AttributeType.GRAPH:
        return [attribute.as_graph()]
    if attribute.type is onnx_ir.AttributeType.GRAPHS:
        return list(attribute.as_graphs())
    return []


def subgraphs(node: onnx_ir.Node) -> list[onnx_ir.Graph]:
    """The graphs that a node holds, in the order of its attributes."""
    return [graph for attribute in node.attributes.values() for graph in subgraphs_of(attribute)]


def has_subgraphs(node: onnx_ir.Node) -> bool:
    """Return True if a node holds a graph, empty ones included."""
    return any(subgraphs_of(attribute) for attribute in node.attributes.values())
