"""Duplicate initializers: weights that are equal are stored once."""

from __future__ import annotations

from collections.abc import Hashable

import onnx_ir as ir

from modelport.passes.contract import Rewrite

_SAMPLE = 64


class ShareInitializers(Rewrite):
    """Initializers of one dtype, shape and content become one, of any size.

    Only those that agree in dtype, shape and a few elements are read in full. (onnx_ir hashes
    every weight, and fails on arrays that are not contiguous.)
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Shares initializers within each graph."""
        return ir.passes.PassResult(model, any([_share(graph) for graph in model.graphs()]))


def _share(graph: ir.Graph) -> bool:
    groups: dict[Hashable, list[ir.Value]] = {}
    for value in graph.initializers.values():
        tensor = value.const_value
        if tensor is None or value.is_graph_input() or value.is_graph_output():
            continue
        key = (tensor.dtype, tuple(tensor.shape), _sample(tensor))
        groups.setdefault(key, []).append(value)
    modified = False
    for group in groups.values():
        modified |= _share_equal(graph, group)
    return modified


def _share_equal(graph: ir.Graph, group: list[ir.Value]) -> bool:
    kept: list[ir.Value] = []
    for value in group:
        same = next((first for first in kept if len(group) > 1 and _equal(first, value)), None)
        if same is None:
            kept.append(value)
            continue
        value.replace_all_uses_with(same)
        assert value.name is not None
        graph.initializers.pop(value.name)
    return len(kept) < len(group)


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
