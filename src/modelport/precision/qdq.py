"""int8 and fp8 as rewrites: explicit Q/DQ around nodes that compute in 8 bits."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from modelport.backends import get_backend
from modelport.ir.constants import add_constant, tensor_of
from modelport.ir.domains import is_onnx
from modelport.precision.float8 import FLOAT8, ZERO, float8_scale, float8_weight
from modelport.precision.quantizable import (
    JOINING,
    PASSING,
    activation_places,
    is_float,
    settled_output,
    weight_axis,
    weight_of,
    weighted_nodes,
)
from modelport.precision.weights import add_dequantized, quantize_weight
from modelport.target import Target

FORMS = ("symmetric", "mixed", "unsigned")
"""Activations as int8 around zero, which TensorRT asks for; likewise, but as uint8 where none is
negative, which OpenVINO takes as well; or all as uint8 with a zero point, and with every tensor
between two convolutions in 8 bits, which ONNX Runtime is fast with on CPUs."""

LEVELS = {"symmetric": 127, "mixed": 64, "unsigned": 64}
"""Steps from zero to the end of the weights' range, by form. CPUs without VNNI add two products of
8 bits in 16 bits, saturating: 2 * 255 * 64 fits, 2 * 255 * 127 does not, and is then far off."""


def form_for(target: Target) -> str:
    """The Q/DQ scheme of int8 that is best for a target's backend."""
    return get_backend(target).quantization_scheme(target)


@dataclass(frozen=True)
class Grid:
    """The numbers that a quantized tensor can hold.

    Attributes:
        scale: The step.
        zero: The zero point: int8, uint8 or float8_e4m3fn.
    """

    scale: np.float32
    zero: Any

    @classmethod
    def of(cls, low: float, high: float, form: str) -> Grid:
        """The grid for values in a range that contains zero."""
        if form == FLOAT8:
            return cls(float8_scale(low, high), ZERO)
        tiny = float(np.finfo(np.float32).tiny)
        if form == "symmetric" or (form == "mixed" and low < 0.0):
            return cls(np.float32(max(-low, high, 127 * tiny) / 127.0), np.int8(0))
        step = max(high - low, 255 * tiny) / 255.0
        return cls(np.float32(step), np.uint8(np.clip(round(-low / step), 0, 255)))


class QuantizeGraph:
    """Rewrites one graph.

    Args:
        graph: The main graph, whose tensors have types; it is changed in place.
        ranges: Ranges of tensors by name; what has none stays in float32.
        kept: Nodes that stay in float32.
        form: One of `FORMS`, or `modelport.precision.float8.FLOAT8`.
    """

    def __init__(
        self,
        graph: ir.Graph,
        ranges: Mapping[str, tuple[float, float]],
        kept: Collection[ir.Node],
        form: str,
    ) -> None:
        self._graph = graph
        self._ranges = ranges
        self._form = form
        self._grids: dict[ir.Value, Grid] = {}
        self._weights: dict[tuple[ir.Value, int | None], ir.Value] = {}
        self.nodes = [node for node in weighted_nodes(graph) if self._fits(node, kept)]
        self._kept = set(kept)

    def _fits(self, node: ir.Node, kept: Collection[ir.Node]) -> bool:
        return node not in kept and all(
            self._known(node.inputs[index]) for index in activation_places(node)
        )

    def _known(self, value: ir.Value | None) -> bool:
        return value is not None and value.name in self._ranges

    def run(self) -> None:
        """Rewrites the graph so that the chosen nodes compute in 8 bits."""
        joined = self._joined() if self._form == "unsigned" else []
        readers = [*self.nodes, *joined]
        selected: dict[ir.Value, None] = {}
        for node in readers:
            values = [node.inputs[index] for index in activation_places(node)]
            if self._form == "unsigned" and not is_onnx(node, "MatMul", "Gemm"):
                values.append(settled_output(node))
            selected.update((value, None) for value in values if value is not None)
        for value in selected:
            self._grid(value)
        for node in self.nodes:
            self._quantize_weight(node)
        sharing = {*readers, *self._passing()}
        for value in list(self._grids):
            self._insert(value, sharing)

    def _joined(self) -> list[ir.Node]:
        """Additions and the like between nodes in 8 bits."""
        inside = set(self.nodes)
        made = {settled_output(node) for node in self.nodes}
        read = {node.inputs[index] for node in self.nodes for index in activation_places(node)}
        joined: list[ir.Node] = []
        for node in self._graph:
            if is_onnx(node, *PASSING) and self._source(node.outputs[0]) in made | read:
                made.add(node.outputs[0])
            if not is_onnx(node, *JOINING) or node in self._kept:
                continue
            indices = activation_places(node)
            values = [node.inputs[index] for index in indices]
            result = settled_output(node)
            if len(indices) < len([value for value in node.inputs if is_float(value)]):
                continue
            near = all(value in made or value in read for value in values)
            known = all(map(self._known, (result, *values)))
            if near and known and self._reaches(result, inside):
                joined.append(node)
                made.add(result)
        return joined

    def _reaches(self, value: ir.Value, inside: Collection[ir.Node]) -> bool:
        """Return True if a node in 8 bits reads a tensor, maybe through passing nodes."""
        for reader, _ in value.uses():
            if reader in inside:
                return True
            if is_onnx(reader, *PASSING, *JOINING) and self._reaches(
                settled_output(reader), inside
            ):
                return True
        return False

    def _source(self, value: ir.Value) -> ir.Value:
        """The tensor whose elements a tensor has, through nodes that only pass them on."""
        producer = value.producer()
        while producer is not None and is_onnx(producer, *PASSING):
            before = producer.inputs[0]
            if before is None or not self._known(before) or tensor_of(before) is not None:
                break
            value, producer = before, before.producer()
        return value

    def _passing(self) -> list[ir.Node]:
        """Nodes that pass quantized tensors on: they read and write 8 bits."""
        if self._form == FLOAT8:
            return []
        if self._form != "unsigned":
            return [node for node in self._graph if is_onnx(node, "Add") and node not in self._kept]
        return [
            producer
            for value in self._grids
            if (producer := value.producer()) is not None and is_onnx(producer, *PASSING)
        ]

    def _grid(self, value: ir.Value) -> None:
        """Chooses a tensor's grid; a tensor that is passed on has the grid of its source."""
        if value in self._grids:
            return
        source = self._source(value) if self._form == "unsigned" else value
        low, high = self._ranges[source.name or ""]
        grid = Grid.of(low, high, self._form)
        while value is not source:
            self._grids[value] = grid
            producer = value.producer()
            assert producer is not None
            assert producer.inputs[0] is not None
            value = producer.inputs[0]
        self._grids.setdefault(value, grid)

    def _insert(self, value: ir.Value, readers: Collection[ir.Node]) -> None:
        """Inserts a Q/DQ pair behind a tensor, for the readers that compute in 8 bits."""
        uses = [
            (node, index)
            for node, index in value.uses()
            if node in readers and index in activation_places(node)
        ]
        if not uses and self._form == "unsigned":
            # A convolution writes 8 bits even for readers in float32: it has no other fast form.
            uses = list(value.uses())
        if not uses:
            return
        grid = self._grids[value]
        scale = add_constant(self._graph, f"{value.name}_scale", np.asarray(grid.scale))
        zero = add_constant(self._graph, f"{value.name}_zero_point", np.asarray(grid.zero))
        quantize = _node("QuantizeLinear", [value, scale, zero], f"{value.name}_quantized")
        dequantize = _node(
            "DequantizeLinear", [quantize.outputs[0], scale, zero], f"{value.name}_dequantized"
        )
        quantize.outputs[0].type = ir.TensorType(ir.DataType.from_numpy(grid.zero.dtype))
        dequantize.outputs[0].type = value.type
        for node in (quantize, dequantize):
            node.outputs[0].shape = value.shape
        producer = value.producer()
        if producer is not None:
            self._graph.insert_after(producer, [quantize, dequantize])
        else:
            self._graph.insert_before(self._graph[0], [quantize, dequantize])
        for node, index in uses:
            node.replace_input_with(index, dequantize.outputs[0])

    def _quantize_weight(self, node: ir.Node) -> None:
        value = weight_of(node)
        if value is None:
            return
        axis = weight_axis(node)
        if (value, axis) not in self._weights:
            tensor = tensor_of(value)
            assert tensor is not None
            array = np.asarray(tensor.numpy())
            if self._form == FLOAT8:
                array, scales = float8_weight(array, axis)
            else:
                array, scales = quantize_weight(array, axis, LEVELS[self._form])
            attributes = {} if axis is None else {"axis": axis}
            self._weights[value, axis] = add_dequantized(node, value, array, scales, attributes)
        node.replace_input_with(1, self._weights[value, axis])


def _node(operator: str, inputs: list[ir.Value], name: str) -> ir.Node:
    node = ir.Node("", operator, inputs, name=f"{name}_{operator}", num_outputs=1)
    node.outputs[0].name = name
    return node
