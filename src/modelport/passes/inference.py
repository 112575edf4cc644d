"""Types and shapes of every value, by ONNX's inference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import onnx
import onnx_ir as ir

from modelport.passes.contract import Rewrite, subgraphs_of

_LARGE = 1000
"""Bytes from which on a weight is left out: its values are no sizes."""


class InferShapes(Rewrite):
    """Notes types and shapes of values, subgraphs included, with names carried along.

    The weights are not copied. (onnx_ir's pass of this purpose makes tensors of sequences and
    optionals whose type the file leaves out.)
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Infers; a model on which ONNX's inference fails stays as it is."""
        with _weights_left_out(model.graph):
            proto = ir.to_proto(model)
        try:
            inferred = onnx.shape_inference.infer_shapes(proto, data_prop=True)
        except onnx.shape_inference.InferenceError:
            return ir.passes.PassResult(model, False)
        return ir.passes.PassResult(model, _merge(model.graph, inferred.graph))


@contextmanager
def _weights_left_out(graph: ir.Graph) -> Iterator[None]:
    kept = {}
    for value in graph.initializers.values():
        tensor = value.const_value
        if tensor is not None and tensor.nbytes > _LARGE:
            kept[value] = tensor
            value.const_value = ir.ExternalTensor(
                location="left-out",
                offset=None,
                length=None,
                dtype=tensor.dtype,
                shape=ir.Shape(tensor.shape),
                name=value.name or "",
            )
    try:
        yield
    finally:
        for value, tensor in kept.items():
            value.const_value = tensor


def _merge(graph: ir.Graph, inferred: onnx.GraphProto) -> bool:
    types = {info.name: info.type for info in (*inferred.value_info, *inferred.output)}
    modified = False
    for node, other in zip(graph, inferred.node, strict=True):
        for value in node.outputs:
            modified |= _take(value, types)
        attributes = {attribute.name: attribute for attribute in other.attribute}
        for name, attribute in node.attributes.items():
            inner = subgraphs_of(attribute)
            if not inner:
                continue
            single = attribute.type == ir.AttributeType.GRAPH
            protos = [attributes[name].g] if single else list(attributes[name].graphs)
            for own, proto in zip(inner, protos, strict=True):
                modified |= _merge(own, proto)
    return modified


def _take(value: ir.Value, types: Mapping[str, onnx.TypeProto]) -> bool:
    found = types.get(value.name or "")
    if found is None or not found.WhichOneof("value"):
        return False
    kind = ir.serde.deserialize_type_proto_for_type(found)
    shape = ir.serde.deserialize_type_proto_for_shape(found)
    modified = False
    if kind is not None and kind != value.type:
        value.type, modified = kind, True
    if shape is not None and shape != value.shape:
        value.shape, modified = shape, True
    return modified
