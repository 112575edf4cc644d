"""Integers of 8 and 16 bits that tensors are moved as: int32 inside of the graph."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import LiftConstantsToInitializersPass

from modelport.ir.constants import add_constant
from modelport.ir.domains import is_onnx
from modelport.ir.subgraphs import has_subgraphs
from modelport.passes.base import Rewrite

_INT32 = ir.DataType.INT32
NARROW = (ir.DataType.UINT8, ir.DataType.INT16, ir.DataType.UINT16)
"""Types that TensorRT does not compute with."""
_OUTER = (ir.DataType.UINT8,)
"""Those of them that it takes and gives."""

_MOVING = frozenset(
    {
        *("Identity", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand", "Tile"),
        *("Concat", "Slice", "Split", "Gather", "GatherElements", "GatherND", "ScatterElements"),
        *("ScatterND", "Where", "Pad", "DepthToSpace", "SpaceToDepth", "Max", "Min", "Clip"),
        *("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "ReduceMax", "ReduceMin"),
        *("Resize", "Trilu", "ReverseSequence", "ArgMax", "ArgMin", "Cast"),
    }
)
"""Operators that give no value which a wider type would not give, too."""


_RULE = "int32 inside of the graph"


class WidenIntegers(Rewrite):
    """uint8, int16 and uint16 become int32 where values are only moved and compared.

    An input of uint8 is cast at once, an output back; a cast to one of these types wraps around
    as before.

    Attributes:
        widened: How many tensors, by the name of their type.
    """

    def __init__(self) -> None:
        super().__init__()
        self.widened: Counter[str] = Counter()

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Widens them all, or, where one is computed with or inside of a node, none."""
        graph = model.graph
        LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
        if not _is_needed(graph):
            return ir.passes.PassResult(model, False)
        fixed = next((node for node in graph if not _is_movable(node)), None)
        if fixed is not None:
            self.decided(fixed, _RULE, refused="it computes with a narrow type, so that all stay")
            return ir.passes.PassResult(model, False)
        self._widen_made(graph)
        for value in list(graph.inputs):
            if value.dtype in _OUTER and value.uses():
                self.widened[value.dtype.name.lower()] += 1
                _cast_input(graph, value)
        for value in graph.initializers.values():
            if value.dtype in NARROW and value.const_value is not None:
                self.widened[value.dtype.name.lower()] += 1
                _widen_constant(value)
        return ir.passes.PassResult(model, bool(self.widened))

    def _widen_made(self, graph: ir.Graph) -> None:
        for node in list(graph):
            for value in node.outputs:
                if value.dtype not in NARROW:
                    continue
                dtype = value.dtype
                assert dtype is not None
                self.decided(value, _RULE)
                self.widened[dtype.name.lower()] += 1
                value.type = ir.TensorType(_INT32)
                if is_onnx(node, "Cast"):
                    node.attributes["to"] = ir.AttrInt64("to", int(_INT32))
                    value = _wrapped(graph, value, dtype)
                if value.is_graph_output():
                    _cast_output(graph, value, dtype)


def _is_needed(graph: ir.Graph) -> bool:
    """Whether a node but a cast at the border has such a type."""
    for node in graph.all_nodes():
        for value in (*node.inputs, *node.outputs):
            if value is None or value.dtype not in NARROW:
                continue
            outer = value.is_graph_input() or value.is_graph_output()
            if not (outer and value.dtype in _OUTER and is_onnx(node, "Cast")):
                return True
    return False


def _is_movable(node: ir.Node) -> bool:
    values = [value for value in (*node.inputs, *node.outputs) if value is not None]
    for value in values:
        border = value.is_graph_input() or value.is_graph_output()
        if value.dtype in NARROW and border and value.dtype not in _OUTER:
            return False
    if any(value.dtype in NARROW for value in values):
        return is_onnx(node, *_MOVING)
    return not has_subgraphs(node)


def _cast_input(graph: ir.Graph, value: ir.Value) -> None:
    cast = ir.node("Cast", [value], {"to": _INT32})
    wide = cast.outputs[0]
    wide.type, wide.shape = ir.TensorType(_INT32), value.shape
    value.replace_all_uses_with(wide)
    cast.replace_input_with(0, value)
    graph.insert_before(next(iter(graph)), cast)


def _wrapped(graph: ir.Graph, value: ir.Value, dtype: ir.DataType) -> ir.Value:
    """The value that is left where a cast to a narrow type keeps the lowest bits."""
    if value.is_graph_output():
        # It is cast back, which wraps around by itself.
        return value
    limits = np.iinfo(dtype.numpy())
    span = add_constant(
        graph, f"{value.name}_span", np.asarray(limits.max - limits.min + 1, np.int32)
    )
    low = add_constant(graph, f"{value.name}_low", np.asarray(limits.min, np.int32))
    node = value.producer()
    assert node is not None
    begin = ir.node("Sub", [value, low])
    rest = ir.node("Mod", [begin.outputs[0], span])
    end = ir.node("Add", [rest.outputs[0], low])
    for made in (begin, rest, end):
        made.outputs[0].type, made.outputs[0].shape = ir.TensorType(_INT32), value.shape
    last = end.outputs[0]
    value.replace_all_uses_with(last)
    begin.replace_input_with(0, value)
    graph.insert_after(node, [begin, rest, end])
    return last


def _cast_output(graph: ir.Graph, value: ir.Value, dtype: ir.DataType) -> None:
    name = value.name
    cast = ir.node("Cast", [value], {"to": dtype})
    narrow = cast.outputs[0]
    narrow.type, narrow.shape = ir.TensorType(dtype), value.shape
    node = value.producer()
    assert node is not None
    for place, output in enumerate(graph.outputs):
        if output is value:
            graph.outputs[place] = narrow
    value.name = f"{name}_wide"
    narrow.name = name
    graph.insert_after(node, cast)


def _widen_constant(value: ir.Value) -> None:
    assert value.const_value is not None
    array = value.const_value.numpy().astype("int32")
    value.const_value = ir.tensor(array, name=value.name)
    value.type = ir.TensorType(_INT32)
