"""Submodels: a model of some of a model's nodes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from modelport.arrays import Array
from modelport.errors import UsageError, first_cause
from modelport.ir.shape_inference import infer_shapes
from modelport.ir.subgraphs import subgraphs

if TYPE_CHECKING:
    import onnx_ir


GIVEN = "/given"
"""Suffix of an input that replaces a tensor which the model computes as well."""


def normalized(ir: onnx_ir.Model) -> onnx_ir.Model:
    """A copy with constants as initializers, sorted nodes, and a name for everything.

    Dtypes are inferred where they are missing. The weights are shared with the original.

    Raises:
        UsageError: A constant has no value that ONNX knows.
    """
    from onnx_ir.passes import PassError, PassManager
    from onnx_ir.passes.common import (
        LiftConstantsToInitializersPass,
        NameFixPass,
        TopologicalSortPass,
    )

    copy = ir.clone()
    passes = PassManager(
        [
            LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
            TopologicalSortPass(),
            NameFixPass(),
        ]
    )
    try:
        result = passes(copy).model
    except PassError as error:
        raise UsageError(
            "the graph is not a valid model",
            why=str(first_cause(error)),
            fix="`modelport check MODEL.onnx` says what is wrong with a graph",
        ) from error
    infer_shapes(result)
    return result


def submodel(
    ir: onnx_ir.Model,
    nodes: Iterable[onnx_ir.Node],
    outputs: Sequence[str],
    cut: Collection[str] = (),
) -> onnx_ir.Model:
    """The model of some nodes; tensors that they use and do not compute are its inputs.

    Args:
        ir: The whole model, as `normalized` leaves it.
        nodes: Nodes of its main graph, in their order there; they need not hang together.
        outputs: Names of tensors that they make.
        cut: Names of tensors whose readers get an input ``NAME/given`` instead of the computed
            value.

    Returns:
        A model of its own that shares the weights. Its shapes are left open.
    """
    import onnx_ir

    nodes = list(nodes)
    produced = {value for node in nodes for value in node.outputs}
    outer = [value for value in _used_by(nodes) if value not in produced]
    named = {value.name: value for value in produced}
    view = onnx_ir.GraphView(
        [value for value in outer if not value.is_initializer()],
        [named[name] for name in outputs],
        nodes=nodes,
        initializers=[value for value in outer if value.is_initializer()],
        opset_imports=ir.opset_imports,
        name=ir.graph.name,
    )
    graph = view.clone()
    for node in list(graph):
        for value in node.outputs:
            # The shapes of another case's run, or of the fault.
            value.shape = None
            if value.name in cut and value.uses():
                replacement = onnx_ir.Value(name=f"{value.name}{GIVEN}", type=value.type)
                for usage in tuple(value.uses()):
                    usage.node.replace_input_with(usage.idx, replacement)
                graph.inputs.append(replacement)
    functions = [function.clone() for function in ir.functions.values()]
    return onnx_ir.Model(graph, ir_version=ir.ir_version, functions=functions)


def declare_inputs(ir: onnx_ir.Model, arrays: Mapping[str, Array]) -> None:
    """Sets unknown dtypes and shapes of inputs to those of arrays.

    Args:
        ir: A model, changed in place.
        arrays: Arrays by input name.
    """
    import onnx_ir

    for value in ir.graph.inputs:
        array = arrays[value.name or ""]
        if value.type is None or value.dtype is None:
            kind = array.dtype if array.dtype.kind not in "UO" else np.dtype(np.str_)
            dtype = (
                onnx_ir.DataType.STRING
                if array.dtype.kind in "UO"
                else onnx_ir.DataType.from_numpy(kind)
            )
            value.type = onnx_ir.TensorType(dtype)
        value.shape = onnx_ir.Shape(array.shape)


def used_values(node: onnx_ir.Node) -> list[onnx_ir.Value]:
    """Tensors that a node uses of its graph: its inputs, and those that its subgraphs capture."""
    return _used_by([node])


def _used_by(nodes: Iterable[onnx_ir.Node]) -> list[onnx_ir.Value]:
    used: dict[onnx_ir.Value, None] = {}
    for node in nodes:
        used |= dict.fromkeys(value for value in node.inputs if value is not None)
        for graph in subgraphs(node):
            inner = [value for item in graph.all_nodes() for value in item.inputs]
            ends = [value for part in (graph, *graph.subgraphs()) for value in part.outputs]
            used |= dict.fromkeys(
                value
                for value in (*inner, *ends)
                if value is not None and value.graph is node.graph
            )
    return list(used)


def closure(
    nodes: Iterable[onnx_ir.Node], known: Collection[str]
) -> tuple[list[onnx_ir.Node], set[str]]:
    """Nodes, and the nodes before them up to known tensors.

    Args:
        nodes: Nodes of one graph.
        known: Names of tensors whose values are known.

    Returns:
        The nodes to run, not in order, and the names of known tensors that they take.
    """
    needed: dict[onnx_ir.Node, None] = {}
    taken: set[str] = set()
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if node in needed:
            continue
        needed[node] = None
        for value in used_values(node):
            producer = value.producer()
            if value.name in known:
                taken.add(value.name or "")
            elif producer is not None:
                stack.append(producer)
    return list(needed), taken


def is_tensor(value: onnx_ir.Value) -> bool:
    """Return True if a value can be an input or output of an engine; an unknown type may be."""
    import onnx_ir

    if value.type is None:
        return True
    narrow = ("FLOAT8", "FLOAT4", "INT4", "UINT4", "INT2", "UINT2", "COMPLEX")
    return isinstance(value.type, onnx_ir.TensorType) and not value.type.dtype.name.startswith(
        narrow
    )
