"""Another opset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelport.errors import PassError, UsageError
from modelport.graph.copies import AnyModel, changed
from modelport.ir.domains import DEFAULT_DOMAIN, is_onnx
from modelport.ir.shape_inference import weights_left_out

if TYPE_CHECKING:
    import onnx_ir

_HARDMAX_BY_AXIS, _RESIZE_BY_COORDINATES = 13, 11
"""Opsets that changed the meaning of an operator in a way that ONNX's converter does not know."""


def convert_opset(model: AnyModel, version: int) -> AnyModel:
    """Rewrites a model for another opset of the default domain, by ONNX's own converter.

    What the converter gets wrong is done here: Hardmax of rows of several axes, the coordinates of
    Upsample and of Resize before opset 11, functions of the model, and models beyond 2 GB.

    Args:
        model: The model; it stays as it is.
        version: The opset.

    Raises:
        UsageError: There is no such opset.
        PassError: The converters cannot do it: an operator changed in a way that they do not know.
    """
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if not 7 <= version <= newest:
        raise UsageError(f"there is no opset {version} to convert to", fix=f"from 7 to {newest}")

    def apply(ir: onnx_ir.Model) -> None:
        before = ir.opset_imports.get("", version)
        if version == before:
            return
        _convert_functions(ir, before, version)
        if before < _HARDMAX_BY_AXIS <= version:
            _flatten_hardmax(ir)
        resized = _resized(ir) if before < _RESIZE_BY_COORDINATES <= version else set()
        _convert_graph(ir, before, version)
        for node in ir.graph.all_nodes():
            if is_onnx(node, "Resize") and node.outputs[0].name in resized:
                # Before opset 11 nothing else was there.
                node.attributes.add(_text("coordinate_transformation_mode", "asymmetric"))
                node.attributes.add(_text("nearest_mode", "floor"))

    return changed(model, apply)


def _convert_graph(ir: onnx_ir.Model, before: int, version: int) -> None:
    import onnx
    import onnx_ir

    weights = {
        value.name: value.const_value
        for graph in ir.graphs()
        for value in graph.initializers.values()
    }
    try:
        # Beyond 2 GB there is no message to convert; the converter reads no weights.
        with weights_left_out(ir):
            proto = onnx_ir.to_proto(ir)
        del proto.functions[:]
        proto = onnx.version_converter.convert_version(proto, version)
    except (RuntimeError, ValueError) as error:
        raise PassError(
            f"the model cannot be converted from opset {before} to {version}",
            why=" ".join(str(error).split())[:500],
            fix="export the model anew with that opset",
        ) from error
    ir.graph = onnx_ir.from_proto(proto).graph
    ir.graph.opset_imports[""] = version
    for graph in ir.graph.subgraphs():
        _restore(graph, weights)
    _restore(ir.graph, weights)


def _restore(
    graph: onnx_ir.Graph, weights: dict[str | None, onnx_ir.TensorProtocol | None]
) -> None:
    import onnx_ir

    for name, value in graph.initializers.items():
        if isinstance(value.const_value, onnx_ir.ExternalTensor) and name in weights:
            value.const_value = weights[name]


def _convert_functions(ir: onnx_ir.Model, before: int, version: int) -> None:
    """Gives functions the new opset where it has the same operators; the converter drops them."""
    for function in ir.functions.values():
        own = function.opset_imports.get("", before)
        for node in function.all_nodes():
            if node.domain in DEFAULT_DOMAIN:
                old, new = (_since(node.op_type, opset) for opset in (own, version))
                if old != new:
                    raise PassError(
                        f"the model cannot be converted from opset {before} to {version}",
                        where=f"function {function.domain}::{function.name}, node {node.op_type}",
                        why=f"{node.op_type} is another operator there, and ONNX's converter does "
                        "not read functions",
                        fix="export the model anew with that opset, or inline the functions first: "
                        "onnx.inliner.inline_local_functions",
                    )
        if "" in function.opset_imports:
            function.opset_imports[""] = version


def _since(operator: str, opset: int) -> int | None:
    from onnx import defs

    try:
        return int(defs.get_schema(operator, opset).since_version)
    except defs.SchemaError:
        return None


def _flatten_hardmax(ir: onnx_ir.Model) -> None:
    """Writes Hardmax as one of rows, which both meanings share; see ONNX's operators, opset 13."""
    import onnx_ir

    for node in list(ir.graph.all_nodes()):
        if not is_onnx(node, "Hardmax"):
            continue
        graph, (x, *_), (y, *_) = node.graph, node.inputs, node.outputs
        assert graph is not None
        shape = onnx_ir.node("Shape", [x])
        rows = onnx_ir.node("Flatten", [x], {"axis": node.attributes.get_int("axis", 1)})
        largest = onnx_ir.node("Hardmax", rows.outputs, {"axis": 1})
        whole = onnx_ir.node("Reshape", [*largest.outputs, *shape.outputs])
        for new in (shape, rows, largest):
            new.outputs[0].name = f"{y.name}_{new.op_type.lower()}"
        result = whole.outputs[0]
        result.type, result.shape, name = y.type, y.shape, y.name
        graph.insert_before(node, [shape, rows, largest, whole])
        y.replace_all_uses_with(result, replace_graph_outputs=True)
        y.name, result.name = None, name
        graph.remove(node, safe=True)


def _resized(ir: onnx_ir.Model) -> set[str | None]:
    """Names of what Upsample and Resize compute."""
    nodes = ir.graph.all_nodes()
    return {node.outputs[0].name for node in nodes if node.op_type in ("Upsample", "Resize")}


def _text(name: str, value: str) -> onnx_ir.Attr:
    import onnx_ir

    return onnx_ir.AttrString(name, value)
