"""Types and shapes of the tensors inside of a graph, by ONNX's own inference."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from modelport.ir.subgraphs import subgraphs

if TYPE_CHECKING:
    import onnx_ir

_SMALL = 4096
"""Bytes up to which an initializer is looked at: a Reshape's target, not a weight."""


def complete_types(model: onnx_ir.Model, names: Iterable[str]) -> None:
    """Infers types and shapes where some tensors have none.

    Args:
        model: The model, in which types and shapes are filled in; what is there stays.
        names: The tensors that matter. Where all of them have a type and a shape, nothing is done.
    """
    wanted = set(names)
    for graph in model.graphs():
        values = [*graph.inputs, *(value for node in graph for value in node.outputs)]
        if any(v.name in wanted and (v.type is None or v.shape is None) for v in values):
            infer_types(model)
            return


def infer_types(model: onnx_ir.Model) -> None:
    """Infers types and shapes of all tensors, those inside of nodes included.

    Weights are not read. What cannot be inferred (behind an operator that ONNX does not know)
    stays unknown.

    Args:
        model: The model, in which types and shapes are filled in; what is there stays.
    """
    import onnx
    import onnx_ir

    try:
        proto = onnx_ir.to_proto(_without_weights(model))
        proto = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    except (onnx.shape_inference.InferenceError, onnx_ir.serde.SerdeError, TypeError, ValueError):
        # Of a graph that is not valid, no more is known than it says; `check` says why.
        return
    _merge(model.graph, onnx_ir.from_proto(proto).graph)


def infer_anew(ir: onnx_ir.Model) -> None:
    """Forgets the shapes of all that nodes compute, and infers them again."""
    outputs = {value: value.shape for value in ir.graph.outputs}
    types = {}
    for node in ir.graph.all_nodes():
        for value in node.outputs:
            types[value] = value.type
            value.shape = value.type = None
    infer_types(ir)
    for value, kind in types.items():
        value.type = value.type or kind
    for value, shape in outputs.items():
        if value.shape is None and shape is not None:
            value.shape = shape


def _without_weights(model: onnx_ir.Model) -> onnx_ir.Model:
    """A copy that has inputs in place of large initializers."""
    import onnx_ir

    copy = model.clone()
    graph = copy.graph
    for name, value in list(graph.initializers.items()):
        tensor = value.const_value
        if tensor is None or tensor.nbytes > _SMALL:
            if tensor is not None:
                value.type = value.type or onnx_ir.TensorType(tensor.dtype)
                value.shape = value.shape or onnx_ir.Shape(tensor.shape)  # type: ignore[arg-type]
            del graph.initializers[name]
            value.const_value = None
            if value not in graph.inputs:
                graph.inputs.append(value)
        elif isinstance(tensor, onnx_ir.ExternalTensor):
            value.const_value = onnx_ir.tensor(tensor.numpy(), name=name)
    return copy


def _merge(graph: onnx_ir.Graph, inferred: onnx_ir.Graph) -> None:
    for node, known in zip(graph, inferred, strict=True):
        for value, other in zip(node.outputs, known.outputs, strict=True):
            value.type = value.type or other.type
            value.shape = value.shape or other.shape
        for inner, other_inner in zip(subgraphs(node), subgraphs(known), strict=True):
            for value, other in zip(inner.inputs, other_inner.inputs, strict=True):
                value.type = value.type or other.type
                value.shape = value.shape or other.shape
            _merge(inner, other_inner)
