"""16 bits on ONNX Runtime's CPU provider: nodes without a kernel compute in float32."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import common

from modelport.ir.domains import DEFAULT_DOMAIN, is_onnx
from modelport.ir.shape_inference import infer_shapes
from modelport.ir.subgraphs import has_subgraphs, subgraphs
from modelport.model import Model
from modelport.ops import registry
from modelport.ops.catalog.kernels import listed_kernels
from modelport.precision.casts import cast_behind
from modelport.precision.excluded_nodes import MOVEMENT
from modelport.precision.scheme import NAMES, schema_of, type_parameters


def widen(model: Model) -> Model:
    """Inserts casts to float32 and back around the nodes on 16 bits that have no CPU kernel.

    ONNX Runtime does this by itself for float16, but leaves out the rounding between two such
    nodes, so that an overflow is not seen; for bfloat16 it does not. The result rounds where the
    graph rounds, and replaces it on a machine that cannot run the graph.

    Args:
        model: The model; it stays as it is.

    Returns:
        The model itself where every node has a kernel, else a rewritten copy.
    """
    typed = model
    if any(value.dtype is None for node in model.ir.graph.all_nodes() for value in node.outputs):
        typed = model.copy()
        infer_shapes(typed.ir)
    opset = typed.opset
    if not any(_lacks_kernel(node, opset) for node in typed.ir.graph.all_nodes()):
        return model
    # Most graphs declare their types and have every kernel: those are never copied.
    copy = model.copy() if typed is model else typed
    _widen_graph(copy.ir.graph, copy.opset, {})
    common.NameFixPass()(copy.ir)
    return copy


def _widen_graph(graph: ir.Graph, opset: int, wide: dict[ir.Value, ir.Value]) -> None:
    for node in list(graph):
        for inner in subgraphs(node):
            _widen_graph(inner, opset, wide)
        if not _lacks_kernel(node, opset):
            continue
        for index, value in enumerate(node.inputs):
            if value is not None and value.dtype in NAMES:
                node.replace_input_with(index, _wide(value, wide))
        for value in node.outputs:
            if value.dtype in NAMES:
                _narrow_output(graph, value)


def _lacks_kernel(node: ir.Node, opset: int) -> bool:
    values = [value for value in (*node.inputs, *node.outputs) if value is not None]
    if not any(value.dtype in NAMES for value in values) or has_subgraphs(node):
        return False
    if node.domain not in DEFAULT_DOMAIN:
        return registry.find(f"{node.domain}::{node.op_type}") is None
    listed, schema = listed_kernels(), schema_of(node.op_type, opset)
    if listed is None or schema is None:
        return not is_onnx(node, "Cast", "Constant", *MOVEMENT)
    kernels = [k for k in listed.get(("", node.op_type), ()) if k.serves(schema.since_version)]
    parameters = type_parameters(schema.inputs, len(node.inputs))
    parameters += type_parameters(schema.outputs, len(node.outputs))
    ends = zip(parameters, (*node.inputs, *node.outputs), strict=True)
    needed = {
        (name, f"tensor({NAMES[value.dtype]})")
        for name, value in ends
        if value is not None and value.dtype in NAMES
    }
    return not any(
        all(dtype in kernel.types.get(name, ()) for name, dtype in needed) for kernel in kernels
    )


def _wide(value: ir.Value, wide: dict[ir.Value, ir.Value]) -> ir.Value:
    if value not in wide:
        wide[value] = cast_behind(value, ir.DataType.FLOAT)
    return wide[value]


def _narrow_output(graph: ir.Graph, value: ir.Value) -> None:
    """Makes a node write float32, and casts back to 16 bits for the readers of its output."""
    name, readers, narrow = value.name, list(value.uses()), value.dtype
    assert narrow is not None
    value.type = ir.TensorType(ir.DataType.FLOAT)
    result = cast_behind(value, narrow)
    for reader, index in readers:
        reader.replace_input_with(index, result)
    for index, output in enumerate(graph.outputs):
        if output is value:
            graph.outputs[index] = result
    value.name, result.name = f"{name}_wide", name
