"""Common subexpressions: what is computed twice is computed once."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Hashable, MutableMapping

import onnx_ir as ir

from modelport.ir.domains import DEFAULT_DOMAIN
from modelport.ir.random_operators import draws
from modelport.ir.subgraphs import subgraphs
from modelport.ir.values import replace_value
from modelport.passes.base import Rewrite

_MOST_ELEMENTS = 64
"""Tensors in attributes that are compared; larger ones are initializers by then."""


class ShareSubexpressions(Rewrite):
    """Nodes of one operator with the same inputs and attributes become one, subgraphs included.

    onnx_ir's pass of this purpose takes `Bernoulli` and foreign operators for functions of their
    inputs, matches nodes that leave out different optional outputs, and skips subgraphs.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Shares what is computed twice; a subgraph may take from the graphs around it."""
        return ir.passes.PassResult(model, self._share(model.graph, {}))

    def _share(self, graph: ir.Graph, seen: MutableMapping[Hashable, ir.Node]) -> bool:
        modified = False
        for node in graph:
            for inner in subgraphs(node):
                modified |= self._share(inner, ChainMap({}, seen))
            key = _key(node)
            if key is None:
                continue
            first = seen.setdefault(key, node)
            if first is not node:
                modified |= self._replace(node, first)
        return modified

    def _replace(self, node: ir.Node, first: ir.Node) -> bool:
        modified = False
        for old, new in zip(node.outputs, first.outputs, strict=True):
            if old.uses() or old.is_graph_output():
                replaced = replace_value(old, new)
                why = "" if replaced else f"{new.name!r} cannot be an output of the graph"
                self.decided(node, f"{new.name!r}, which is the same, is read instead", refused=why)
                modified |= replaced
        return modified


def _key(node: ir.Node) -> Hashable | None:
    """What two nodes that compute the same have in common; None where that cannot be known."""
    if node.domain not in DEFAULT_DOMAIN or draws(node) or not node.inputs:
        return None
    attributes = []
    for name, attribute in sorted(node.attributes.items()):
        value = _attribute_key(attribute)
        if value is None:
            return None
        attributes.append((name, value))
    outputs = tuple(bool(value.name) for value in node.outputs)
    return (node.op_identifier(), tuple(map(id, node.inputs)), outputs, tuple(attributes))


def _attribute_key(attribute: ir.Attr) -> Hashable | None:
    kinds = ir.AttributeType
    if attribute.is_ref():
        return ("reference", attribute.ref_attr_name)
    if attribute.type in (kinds.INT, kinds.FLOAT, kinds.STRING):
        return (attribute.type, attribute.value)
    if attribute.type in (kinds.INTS, kinds.FLOATS, kinds.STRINGS):
        return (attribute.type, tuple(attribute.value))
    if attribute.type == kinds.TENSOR and attribute.value.dtype != ir.DataType.STRING:
        tensor = attribute.as_tensor()
        if tensor.size <= _MOST_ELEMENTS:
            return (tensor.dtype, tuple(tensor.shape), tensor.tobytes())
    return None
