"""Types and shapes of the values of a graph, by ONNX's inference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelport.ir.constants import nbytes_of
from modelport.ir.subgraphs import subgraphs_of

if TYPE_CHECKING:
    import onnx
    import onnx_ir

_SMALL = 4096
"""Bytes up to which an initializer is read: the target of a Reshape, not a weight."""

_UNKNOWN = "unk__"
"""Prefix of ONNX's inference for sizes that it cannot compute; a number follows."""


def infer_shapes(model: onnx_ir.Model, *, overwrite: bool = False, prefix: str = "") -> bool:
    """Infers types and shapes of what nodes compute, subgraphs included.

    Weights are neither read nor copied. What cannot be inferred (behind an operator that ONNX does
    not know) stays as it is, and so does a model on which the inference fails: `check` says why.
    (onnx_ir's pass of this purpose makes tensors of sequences and optionals whose type the file
    leaves out.)

    Args:
        model: The model, in which types and shapes are noted.
        overwrite: Whether what is inferred replaces what is there.
        prefix: What names of unknown sizes begin with. ONNX counts anew in every call, and does
            not look into subgraphs for names that are in use.

    Returns:
        Whether anything was noted.
    """
    import onnx
    import onnx_ir

    try:
        with weights_left_out(model):
            proto = onnx_ir.to_proto(model)
        proto = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    except (onnx.shape_inference.InferenceError, onnx_ir.serde.SerdeError, TypeError, ValueError):
        return False
    return _Merger(overwrite, prefix).merge(model.graph, proto.graph)


def complete_shapes(model: onnx_ir.Model, names: Iterable[str]) -> None:
    """Infers types and shapes where some values have none.

    Args:
        model: The model, in which types and shapes are filled in; what is there stays.
        names: The values that matter. Where all of them have a type and a shape, nothing is done.
    """
    requested = set(names)
    for graph in model.graphs():
        values = [*graph.inputs, *(value for node in graph for value in node.outputs)]
        if any(v.name in requested and (v.type is None or v.shape is None) for v in values):
            infer_shapes(model)
            return


def infer_shapes_anew(model: onnx_ir.Model) -> None:
    """Forgets the shapes of all that nodes compute, and infers them again."""
    outputs = {value: value.shape for value in model.graph.outputs}
    types = {}
    for node in model.graph.all_nodes():
        for value in node.outputs:
            types[value] = value.type
            value.shape = value.type = None
    infer_shapes(model)
    for value, kind in types.items():
        value.type = value.type or kind
    for value, shape in outputs.items():
        if value.shape is None and shape is not None:
            value.shape = shape


@contextmanager
def weights_left_out(model: onnx_ir.Model) -> Iterator[None]:
    """Puts a reference to a file that is never read in the place of each large initializer."""
    import onnx_ir

    kept = {}
    for graph in model.graphs():
        for value in graph.initializers.values():
            tensor = value.const_value
            if tensor is None:
                continue
            if nbytes_of(tensor) > _SMALL:
                kept[value] = tensor
                value.const_value = onnx_ir.ExternalTensor(
                    location="left-out",
                    offset=None,
                    length=None,
                    dtype=tensor.dtype,
                    shape=onnx_ir.Shape(tensor.shape.numpy()),
                    name=value.name or "",
                )
            elif isinstance(tensor, onnx_ir.ExternalTensor):
                kept[value] = tensor
                value.const_value = onnx_ir.tensor(tensor.numpy(), name=value.name)
    try:
        yield
    finally:
        for value, tensor in kept.items():
            value.const_value = tensor


@dataclass(frozen=True)
class _Merger:
    """Notes in a graph what was inferred; see `infer_shapes` for the attributes."""

    overwrite: bool
    prefix: str

    def merge(self, graph: onnx_ir.Graph, inferred: onnx.GraphProto) -> bool:
        """Returns whether anything was noted."""
        infos = (*inferred.value_info, *inferred.output)
        types = {info.name: info.type for info in infos}
        modified = False
        for node, other in zip(graph, inferred.node, strict=True):
            for value in node.outputs:
                modified |= self._note(value, types)
            for own, proto in _pairs(node, other):
                known = {info.name: info.type for info in proto.input}
                for value in own.inputs:
                    modified |= self._note(value, known)
                modified |= self.merge(own, proto)
        return modified

    def _note(self, value: onnx_ir.Value, types: Mapping[str, onnx.TypeProto]) -> bool:
        import onnx_ir

        found = types.get(value.name or "")
        if found is None or not found.WhichOneof("value"):
            return False
        kind = onnx_ir.serde.deserialize_type_proto_for_type(found)
        shape = self._named(onnx_ir.serde.deserialize_type_proto_for_shape(found))
        modified = False
        if kind is not None and kind != value.type and (self.overwrite or value.type is None):
            value.type, modified = kind, True
        if shape is not None and shape != value.shape and (self.overwrite or value.shape is None):
            value.shape, modified = shape, True
        return modified

    def _named(self, shape: onnx_ir.Shape | None) -> onnx_ir.Shape | None:
        import onnx_ir

        if shape is None or not self.prefix:
            return shape
        names = [dim if isinstance(dim, int) else dim.value for dim in shape]
        return onnx_ir.Shape(
            self.prefix + name if isinstance(name, str) and name.startswith(_UNKNOWN) else name
            for name in names
        )


def _pairs(
    node: onnx_ir.Node, proto: onnx.NodeProto
) -> Iterator[tuple[onnx_ir.Graph, onnx.GraphProto]]:
    """The graphs that a node holds, each with its own protobuf."""
    attributes = {attribute.name: attribute for attribute in proto.attribute}
    for name, attribute in node.attributes.items():
        own = subgraphs_of(attribute)
        if own:
            held = attributes[name]
            yield from zip(own, held.graphs or [held.g], strict=True)
