"""Types and shapes of every value, by ONNX's inference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import onnx
import onnx_ir as ir

from modelport.ir.subgraphs import subgraphs_of
from modelport.model import nbytes_of
from modelport.passes.contract import Rewrite

_LARGE = 1000
"""Bytes from which on a weight is left out: its values are no sizes."""

_PREFIX = "inferred_"


class InferShapes(Rewrite):
    """Notes types and shapes of values, subgraphs included, with names carried along.

    The weights are not copied. (onnx_ir's pass of this purpose makes tensors of sequences and
    optionals whose type the file leaves out.)
    """

    def __init__(self) -> None:
        super().__init__()
        self._calls = 0

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Infers; a model on which ONNX's inference fails stays as it is."""
        with _weights_left_out(model.graph):
            proto = ir.to_proto(model)
        try:
            inferred = onnx.shape_inference.infer_shapes(proto, data_prop=True)
        except onnx.shape_inference.InferenceError:
            return ir.passes.PassResult(model, False)
        self._calls += 1
        return ir.passes.PassResult(model, _merge(model.graph, inferred.graph, self._calls))


def forget_inferred_names(model: ir.Model) -> None:
    """Takes the names off the sizes that inference named: they mean nothing to anyone else."""
    for graph in model.graphs():
        for node in graph:
            for value in node.outputs:
                if value.shape is not None and any(_is_inferred(dim) for dim in value.shape):
                    kept = [None if _is_inferred(dim) else dim for dim in value.shape]
                    value.shape = ir.Shape(kept)


def _is_inferred(dim: int | ir.SymbolicDim) -> bool:
    return isinstance(dim, ir.SymbolicDim) and (dim.value or "").startswith(_PREFIX)


def _renamed(shape: ir.Shape | None, call: int) -> ir.Shape | None:
    """A shape whose inferred names are those of one call.

    ONNX counts anew in every call, and does not look into subgraphs for names that are taken.
    """
    if shape is None:
        return None
    names = [dim if isinstance(dim, int) else dim.value for dim in shape]
    return ir.Shape(
        f"{_PREFIX}{call}_{name}" if isinstance(name, str) and name.startswith("unk__") else name
        for name in names
    )


@contextmanager
def _weights_left_out(graph: ir.Graph) -> Iterator[None]:
    kept = {}
    for value in graph.initializers.values():
        tensor = value.const_value
        if tensor is not None and nbytes_of(tensor) > _LARGE:
            kept[value] = tensor
            value.const_value = ir.ExternalTensor(
                location="left-out",
                offset=None,
                length=None,
                dtype=tensor.dtype,
                shape=ir.Shape(tensor.shape.numpy()),
                name=value.name or "",
            )
    try:
        yield
    finally:
        for value, tensor in kept.items():
            value.const_value = tensor


def _merge(graph: ir.Graph, inferred: onnx.GraphProto, call: int) -> bool:
    types = {info.name: info.type for info in (*inferred.value_info, *inferred.output)}
    modified = False
    for node, other in zip(graph, inferred.node, strict=True):
        for value in node.outputs:
            modified |= _take(value, types, call)
        attributes = {attribute.name: attribute for attribute in other.attribute}
        for name, attribute in node.attributes.items():
            inner = subgraphs_of(attribute)
            if not inner:
                continue
            single = attribute.type == ir.AttributeType.GRAPH
            protos = [attributes[name].g] if single else list(attributes[name].graphs)
            for own, proto in zip(inner, protos, strict=True):
                modified |= _merge(own, proto, call)
    return modified


def _take(value: ir.Value, types: Mapping[str, onnx.TypeProto], call: int) -> bool:
    found = types.get(value.name or "")
    if found is None or not found.WhichOneof("value"):
        return False
    kind = ir.serde.deserialize_type_proto_for_type(found)
    shape = _renamed(ir.serde.deserialize_type_proto_for_shape(found), call)
    modified = False
    if kind is not None and kind != value.type:
        value.type, modified = kind, True
    if shape is not None and shape != value.shape:
        value.shape, modified = shape, True
    return modified
