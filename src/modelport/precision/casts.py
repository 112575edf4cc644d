"""fp16 and bf16 as a rewrite: nodes compute in 16 bits, with casts around excluded nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir

from modelport.findings import Finding, Severity
from modelport.ir.constants import add_constant, tensor_of
from modelport.ir.domains import is_onnx
from modelport.ir.subgraphs import subgraphs
from modelport.precision.excluded_nodes import limit_of
from modelport.precision.scheme import NAMES, Form, form_of


class CastGraph:
    """Rewrites one model.

    Args:
        model: The model, whose tensors have types; it is changed in place.
        dtype: FLOAT16 or BFLOAT16.
        kept: The nodes that stay in float32.
        keep_io: Whether inputs and outputs stay float32.
    """

    def __init__(
        self, model: ir.Model, dtype: ir.DataType, kept: Mapping[ir.Node, str], keep_io: bool
    ) -> None:
        self._model = model
        self._dtype = dtype
        self._kept = kept
        self._keep_io = keep_io
        self._opset = model.opset_imports.get("", 0)
        self._cast: dict[tuple[ir.Value, ir.DataType], ir.Value] = {}
        self.findings: list[Finding] = []

    def run(self) -> None:
        """Rewrites the main graph and its subgraphs; functions are not changed."""
        graph = self._model.graph
        if not self._keep_io:
            for value in graph.inputs:
                if value.dtype is ir.DataType.FLOAT and not value.is_initializer():
                    value.type = ir.TensorType(self._dtype)
        outputs = ir.DataType.FLOAT if self._keep_io else self._dtype
        self._convert_graph(graph, outputs)
        for inner in self._model.graphs():
            _drop_unused(inner)

    def _convert_graph(self, graph: ir.Graph, outputs: ir.DataType) -> None:
        for node in list(graph):
            self._convert_node(node)
            for inner in subgraphs(node):
                self._convert_graph(inner, ir.DataType.FLOAT)
        for index, value in enumerate(list(graph.outputs)):
            if value.dtype in (ir.DataType.FLOAT, self._dtype) and value.dtype is not outputs:
                result = cast_behind(value, outputs)
                graph.outputs[index] = result
                if graph is self._model.graph and not value.is_graph_input():
                    # The output keeps its name; the tensor before it gets another one.
                    value.name, result.name = f"{value.name}_{NAMES[self._dtype]}", value.name

    def _convert_node(self, node: ir.Node) -> None:
        form = None if node in self._kept else form_of(node, self._opset, self._dtype)
        if not isinstance(form, Form):
            self._read(node, [False] * len(node.inputs))
            return
        self._read(node, _settled(node, form, self._dtype))
        for value, half in zip(node.outputs, form.outputs, strict=True):
            if half and value.dtype is ir.DataType.FLOAT:
                value.type = ir.TensorType(self._dtype)
                if node.op_type == "Cast" and not node.domain:
                    node.attributes["to"] = ir.AttrInt64("to", self._dtype.value)

    def _read(self, node: ir.Node, half: list[bool]) -> None:
        for index, (value, is_half) in enumerate(zip(node.inputs, half, strict=True)):
            dtype = self._dtype if is_half else ir.DataType.FLOAT
            if value is None or value.dtype is dtype:
                continue
            if value.dtype in (ir.DataType.FLOAT, self._dtype):
                node.replace_input_with(index, self._as(value, dtype, node))

    def _as(self, value: ir.Value, dtype: ir.DataType, reader: ir.Node) -> ir.Value:
        """The value in another type: a constant converted, or a Cast behind its producer."""
        if (value, dtype) not in self._cast:
            tensor = tensor_of(value)
            if tensor is not None:
                array = np.asarray(tensor.numpy())
                self._cast[value, dtype] = self._constant(value, array, reader)
            else:
                self._cast[value, dtype] = cast_behind(value, dtype)
        return self._cast[value, dtype]

    def _constant(
        self, value: ir.Value, array: np.ndarray[Any, np.dtype[np.float32]], reader: ir.Node
    ) -> ir.Value:
        limit = limit_of(self._dtype)
        huge = np.isfinite(array) & (np.abs(array) > limit)
        if huge.any():
            self.findings.append(
                Finding(
                    "weight-saturated",
                    Severity.NOTE,
                    f"{np.count_nonzero(huge)} elements of {value.name!r} reach "
                    f"{np.abs(array[huge]).max():.4g}, beyond {NAMES[self._dtype]}: they are "
                    f"{limit:g} now",
                    where=f"{reader.name!r} ({reader.op_type})",
                    fix="keep the node in fp32 if they are not a mask",
                )
            )
            array = np.where(huge, np.copysign(limit, array), array)
        with np.errstate(over="ignore", under="ignore"):
            converted = array.astype(self._dtype.numpy())
        graph = value.graph
        assert graph is not None
        return add_constant(graph, f"{value.name}_{NAMES[self._dtype]}", converted)


def _settled(node: ir.Node, form: Form, dtype: ir.DataType) -> list[bool]:
    """The form's inputs, where those that may be of either type are as their values are."""
    free = [value for value, half in zip(node.inputs, form.inputs, strict=True) if half is None]
    moving = [value for value in free if value is not None and tensor_of(value) is None]
    # Constants alone go with the outputs: the statistics of a normalization.
    half = any(value.dtype is dtype for value in moving) if moving else any(form.outputs)
    return [half if item is None else item for item in form.inputs]


def cast_behind(value: ir.Value, dtype: ir.DataType) -> ir.Value:
    """A value cast to another type, behind its producer.

    Args:
        value: A value of a graph; what reads it goes on doing so.
        dtype: The type.
    """
    name = f"{value.name}_to_{dtype.name.lower()}"
    for reader, _ in value.uses():
        if is_onnx(reader, "Cast") and reader.name == name and reader.graph is value.graph:
            return reader.outputs[0]
    node = ir.Node("", "Cast", [value], [ir.AttrInt64("to", dtype.value)], name=name, num_outputs=1)
    result = node.outputs[0]
    result.name, result.shape, result.type = name, value.shape, ir.TensorType(dtype)
    graph, producer = value.graph, value.producer()
    assert graph is not None
    if producer is not None:
        producer.graph.insert_after(producer, node)  # type: ignore[union-attr]
    elif len(graph):
        graph.insert_before(graph[0], node)
    else:
        graph.append(node)
    return result


def _drop_unused(graph: ir.Graph) -> None:
    for name, value in list(graph.initializers.items()):
        if not value.uses() and not value.is_graph_input() and not value.is_graph_output():
            del graph.initializers[name]
