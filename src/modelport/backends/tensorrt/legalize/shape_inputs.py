"""Inputs of floats that shapes are made of: TensorRT makes shapes of integers alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import onnx_ir as ir

from modelport.backends.adapters import FixedPoint, add_adapters
from modelport.graph.lookup import origins
from modelport.ir.constants import add_constant
from modelport.ir.domains import is_onnx
from modelport.ir.values import sizes
from modelport.passes.base import Rewrite

BITS = 30
"""Bits after the point: scales from 2 ** -7 up are exact, up to 2 ** 33."""

_SHAPES = {
    "Resize": (2, 3),
    "Upsample": (1,),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Expand": (1,),
    "Tile": (1,),
    "ConstantOfShape": (0,),
    "Slice": (1, 2, 3, 4),
    "Pad": (1,),
    "TopK": (1,),
    "Split": (1,),
    "CenterCropPad": (1,),
    "AffineGrid": (1,),
    "OneHot": (1,),
}
"""Inputs, by operator and place, of which the values say how large an output is."""

_MOST = 16
"""Elements that such an input may have; what is larger is data."""

Values = tuple[tuple[float, ...], ...]


class TakeIntegers(Rewrite):
    """A float32 input that shapes are made of becomes one of int64: fixed-point numbers.

    The graph divides them again, exactly, so that it computes as before; what calls the engine
    multiplies, by an adapter in the graph's metadata.

    Attributes:
        taken: The adapters that were added.
    """

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[FixedPoint] = []

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Changes the inputs."""
        graph = model.graph
        found = {
            origin: node
            for node, value in _shape_operands(graph)
            for origin in origins(value)
            if origin.is_graph_input() and origin.dtype is ir.DataType.FLOAT
        }
        for value in list(graph.inputs):
            if value not in found:
                continue
            fits = _is_small(value) and not value.is_graph_output()
            why = "" if fits else "it is large, or an output as well"
            self.decided(value, "an input of int64 in its place", refused=why)
            if fits:
                self.taken.append(_take(graph, value, _assumed(value, found[value])))
        if self.taken:
            add_adapters(model, self.taken)
        return ir.passes.PassResult(model, bool(self.taken))


def _shape_operands(graph: ir.Graph) -> Iterator[tuple[ir.Node, ir.Value]]:
    for node in graph.all_nodes():
        for place in _SHAPES.get(node.op_type, ()) if is_onnx(node, node.op_type) else ():
            value = node.inputs[place] if place < len(node.inputs) else None
            if value is not None:
                yield node, value


def _is_small(value: ir.Value) -> bool:
    shape = sizes(value)
    return shape is not None and len(shape) < 2 and int(np.prod(shape)) <= _MOST


def _take(graph: ir.Graph, value: ir.Value, values: Values) -> FixedPoint:
    unit = add_constant(graph, f"{value.name}_unit", np.asarray(2.0**-BITS, np.float32))
    cast = ir.node("Cast", [value], {"to": ir.DataType.FLOAT})
    scaled = ir.node("Mul", [cast.outputs[0], unit])
    for node in (cast, scaled):
        node.outputs[0].type, node.outputs[0].shape = value.type, value.shape
    value.replace_all_uses_with(scaled.outputs[0])
    cast.replace_input_with(0, value)
    value.type = ir.TensorType(ir.DataType.INT64)
    first = next(iter(graph))
    graph.insert_before(first, [cast, scaled])
    return FixedPoint(str(value.name), "float32", BITS, values)


def _assumed(value: ir.Value, node: ir.Node) -> Values:
    """The least, the usual and the largest values where nobody says them."""
    count = int(np.prod(sizes(value) or [1]))
    kept = _kept(node, count)
    return tuple(
        tuple(1.0 if place < kept else size for place in range(count)) for size in (1.0, 2.0, 4.0)
    )


def _kept(node: ir.Node, count: int) -> int:
    """How many of the first axes, batch and channels, a picture's scales leave alone."""
    scales: Sequence[int] = (4, 5)
    return 2 if node.op_type in ("Resize", "Upsample") and count in scales else 0
