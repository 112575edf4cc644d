"""Duplicate initializers: weights that are equal are stored once."""

from __future__ import annotations

from collections.abc import Hashable

import onnx_ir as ir

from modelport.passes.base import Rewrite

_SAMPLE = 64


class ShareInitializers(Rewrite):
    """Initializers of one dtype, shape and content become one, of any size.

    Only those that agree in dtype, shape and a few elements are read in full. (onnx_ir hashes
    every weight, and fails on arrays that are not contiguous.)
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Shares initializers within each graph."""
        modified = False
        for graph in model.graphs():
            for group in _similar(graph):
                modified |= self._share(graph, group)
        return ir.passes.PassResult(model, modified)

    def _share(self, graph: ir.Graph, group: list[ir.Value]) -> bool:
        kept: list[ir.Value] = []
        for value in group:
            same = next((first for first in kept if _equal(first, value)), None)
            if same is None:
                kept.append(value)
                continue
            self.decided(value, f"{same.name!r}, which is equal, is read instead")
            value.replace_all_uses_with(same)
            assert value.name is not None
            graph.initializers.pop(value.name)
        return len(kept) < len(group)


def _similar(graph: ir.Graph) -> list[list[ir.Value]]:
    """Initializers that agree in dtype, shape and a few elements."""
    groups: dict[Hashable, list[ir.Value]] = {}
    for value in graph.initializers.values():
        tensor = value.const_value
        if tensor is None or value.is_graph_input() or value.is_graph_output():
            continue
        key = (tensor.dtype, tuple(tensor.shape), _sample(tensor))
        groups.setdefault(key, []).append(value)
    return list(groups.values())


def _equal(first: ir.Value, second: ir.Value) -> bool:
    one, other = first.const_value, second.const_value
    assert one is not None
    assert other is not None
    if isinstance(one, ir.StringTensor) and isinstance(other, ir.StringTensor):
        return list(one.string_data()) == list(other.string_data())
    return one.tobytes() == other.tobytes()


def _sample(tensor: ir.TensorProtocol) -> Hashable:
    if tensor.dtype == ir.DataType.STRING:
        return None
    flat = tensor.numpy().reshape(-1)
    step = max(1, flat.size // _SAMPLE)
    return bytes(flat[::step][: 2 * _SAMPLE].copy().view("uint8"))
