"""The part of a graph that a PyTorch module became."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelport.graph.copies import AnyModel, ir_of
from modelport.graph.extraction import extract
from modelport.graph.lookup import nodes_of_module
from modelport.ir.subgraphs import has_subgraphs, subgraphs

if TYPE_CHECKING:
    import onnx_ir


def extract_module(model: AnyModel, module: str) -> AnyModel:
    """The part of a model that was captured from one PyTorch module.

    Args:
        model: A captured model; it stays as it is.
        module: The module's path as in ``named_modules``, such as ``backbone.layer1``.

    Returns:
        A model of the same kind. Its inputs are the tensors that the module's nodes read from
        elsewhere, its outputs the tensors that other nodes read.

    Raises:
        UsageError: No node was captured from that module.
    """
    graph = ir_of(model).graph
    nodes: list[onnx_ir.Node] = list(nodes_of_module(graph, module))
    own = set(nodes)
    inside: set[onnx_ir.Node] = {
        inner for node in nodes for sub in subgraphs(node) for inner in sub.all_nodes()
    }
    inputs: dict[str, None] = {}
    outputs: dict[str, None] = {}
    for node in [*nodes, *inside]:
        for value in node.inputs:
            if value is None or value.is_initializer() or value.producer() in own | inside:
                continue
            if value.graph is graph and not _is_constant(value):
                inputs[value.name or ""] = None
    for node in nodes:
        for value in node.outputs:
            readers = {reader for reader, _ in value.uses()}
            if value.is_graph_output() or readers - own - inside:
                outputs[value.name or ""] = None
    return extract(model, list(inputs), list(outputs))


def _is_constant(value: onnx_ir.Value) -> bool:
    """Return True if a tensor is the same in every run: it is copied, and not an input."""
    node = value.producer()
    if node is None:
        return value.is_initializer()
    return all(
        before is None or _is_constant(before) for before in node.inputs
    ) and not has_subgraphs(node)
