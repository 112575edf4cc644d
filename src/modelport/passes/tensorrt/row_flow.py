"""Where the rows of an output whose size depends on values go, node by node."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import onnx_ir as ir

from modelport.errors import PassError
from modelport.passes.contract import subgraphs_of
from modelport.passes.tensorrt.expansion import input_of, known, rank
from modelport.passes.values import is_onnx


@dataclass(frozen=True)
class Rows:
    """Rows of which only the first ones are there.

    Attributes:
        axis: The axis that they lie along.
        count: How many are there, int64 [1].
        source: What made them, for people.
    """

    axis: int
    count: ir.Value
    source: str


_ELEMENTWISE = frozenset(
    {
        *("Abs", "Acos", "Add", "And", "Asin", "Atan", "Cast", "CastLike", "Ceil", "Celu", "Clip"),
        *("Cos", "Div", "Dropout", "Elu", "Equal", "Erf", "Exp", "Floor", "Gelu", "Greater"),
        *("GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity", "IsInf", "IsNaN", "LeakyRelu"),
        *("Less", "LessOrEqual", "Log", "Max", "Mean", "Min", "Mish", "Mod", "Mul", "Neg", "Not"),
        *("Or", "PRelu", "Pow", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin"),
        *("Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Tan", "Tanh", "ThresholdedRelu", "Where"),
        "Xor",
    }
)
_REDUCTIONS = ("ReduceMax", "ReduceMin", "ReduceSum", "ReduceMean", "ReduceProd", "ReduceL2")
_ALONG_AN_AXIS = ("Softmax", "LogSoftmax", "ArgMax", "ArgMin")


def padded_outputs(
    graph: ir.Graph, rows: Mapping[ir.Value, Rows], title: str
) -> dict[ir.Value, Rows]:
    """The outputs of a graph that have rows of which only the first ones are there.

    Args:
        graph: The graph, with shapes.
        rows: Where they begin.
        title: The backend's name, for the error.

    Raises:
        PassError: A node computes across them.
    """
    found = dict(rows)
    for node in graph:
        inner = [graph for item in node.attributes.values() for graph in subgraphs_of(item)]
        if any(
            value in found for body in inner for part in body.all_nodes() for value in part.inputs
        ):
            raise _across(node, next(iter(rows.values())), title)
        # What a CastLike reads besides says a type alone.
        read = node.inputs[:1] if is_onnx(node, "CastLike") else node.inputs
        given = [found.get(value) if value is not None else None for value in read]
        first = next((item for item in given if item is not None), None)
        if first is None:
            continue
        if any(item is not None and item.count is not first.count for item in given):
            raise _across(node, first, title)
        axis = _axis_after(node, [None if item is None else item.axis for item in given])
        if axis is None:
            raise _across(node, first, title)
        for value in node.outputs:
            found[value] = replace(first, axis=axis)
    return {value: found[value] for value in graph.outputs if value in found}


def _across(node: ir.Node, rows: Rows, title: str) -> PassError:
    return PassError(
        f"the size of what {rows.source} gives depends on values, which {title} does not have",
        where=f"node {node.name or node.outputs[0].name!r} ({node.op_type})",
        why="it computes across the rows, whose number is known only after a run",
        fix=f"cut the model before {rows.source} (`modelport graph extract`), or keep a fixed "
        "number of rows in the model",
    )


def _axis_after(node: ir.Node, axes: Sequence[int | None]) -> int | None:
    """The axis of the rows in a node's outputs; None where it is not known to keep them apart."""
    if not is_onnx(node, node.op_type):
        return None
    if node.op_type in _ELEMENTWISE:
        return _broadcast(node, axes)
    if axes[0] is None:
        return _gathered(node, axes)
    if any(axis is not None for axis in axes[1:]) and node.op_type != "Concat":
        return None
    count = rank(node.inputs[0])
    if count is None:
        return None
    return _moved(node, axes[0], count)


def _broadcast(node: ir.Node, axes: Sequence[int | None]) -> int | None:
    inputs = node.inputs[: len(axes)]
    ranks = [rank(value) for value in inputs if value is not None]
    known_ranks = [item for item in ranks if item is not None]
    if len(known_ranks) < len(ranks):
        return None
    most = max(known_ranks)
    places = {
        axis + most - (rank(value) or 0)
        for axis, value in zip(axes, inputs, strict=True)
        if axis is not None
    }
    if len(places) != 1:
        return None
    place = places.pop()
    for axis, value in zip(axes, inputs, strict=True):
        if axis is None and value is not None and value.shape is not None:
            own = place - most + len(value.shape)
            if own >= 0 and value.shape[own] != 1:
                return None
    return place


def _gathered(node: ir.Node, axes: Sequence[int | None]) -> int | None:
    """Rows of indices."""
    if len(axes) < 2 or axes[1] is None:
        return None
    if node.op_type == "Gather":
        count = rank(node.inputs[0])
        axis = node.attributes.get_int("axis", 0)
        return None if count is None else (axis + count if axis < 0 else axis) + axes[1]
    if node.op_type == "GatherND" and not node.attributes.get_int("batch_dims", 0):
        count = rank(node.inputs[1])
        return axes[1] if count is not None and axes[1] < count - 1 else None
    return None


def _moved(node: ir.Node, axis: int, count: int) -> int | None:
    """The axis after a node that moves data, or computes along other axes."""
    match node.op_type:
        case "Gather":
            own = _axis(node, 0, count)
            added = rank(node.inputs[1])
            if own == axis or added is None:
                return None
            return axis + added - 1 if own < axis else axis
        case "Slice":
            axes = known(input_of(node, 3))
            if axes is None or axis in [int(item) % count for item in axes]:
                return None
            return axis
        case "Split" | "Concat":
            return None if _axis(node, 0, count) == axis else axis
        case "Transpose":
            order = node.attributes.get_ints("perm", list(reversed(range(count))))
            return list(order).index(axis)
        case "Squeeze" | "Unsqueeze":
            return _squeezed(node, axis, count)
        case "Reshape" | "Flatten":
            return _reshaped(node, axis)
    if node.op_type in _REDUCTIONS:
        axes = known(input_of(node, 1))
        if axes is None:
            return None
        gone = sorted(int(item) % count for item in axes)
        return _without(gone, axis, kept=bool(node.attributes.get_int("keepdims", 1)))
    if node.op_type in _ALONG_AN_AXIS:
        own = _axis(node, -1 if "Softmax" in node.op_type else 0, count)
        kept = "Softmax" in node.op_type or bool(node.attributes.get_int("keepdims", 1))
        return _without([own], axis, kept=kept)
    return None


def _axis(node: ir.Node, default: int, count: int) -> int:
    return node.attributes.get_int("axis", default) % count


def _without(gone: Sequence[int], axis: int, *, kept: bool) -> int | None:
    if axis in gone:
        return None
    return axis if kept else axis - sum(item < axis for item in gone)


def _squeezed(node: ir.Node, axis: int, count: int) -> int | None:
    given = known(input_of(node, 1))
    if given is None:
        return None
    axes = [int(item) for item in given]
    if node.op_type == "Squeeze":
        return _without([item % count for item in axes], axis, kept=False)
    total = count + len(axes)
    taken = {item % total for item in axes}
    return [place for place in range(total) if place not in taken][axis]


def _reshaped(node: ir.Node, axis: int) -> int | None:
    """Only what keeps the rows at the front, each with the elements that it has."""
    before = node.inputs[0]
    if axis != 0 or before is None or before.shape is None:
        return None
    rest = [size for size in before.shape[1:] if isinstance(size, int)]
    if len(rest) < len(before.shape) - 1:
        return None
    if node.op_type == "Flatten":
        return 0 if node.attributes.get_int("axis", 1) == 1 else None
    target = known(input_of(node, 1))
    if target is None or not target.size or target[0] not in (-1, 0) or 0 in target[1:]:
        return None
    after = [int(size) for size in target[1:]]
    if -1 in after:
        after = [size for size in after if size != -1]
        return 0 if target[0] == 0 and math.prod(rest) % max(math.prod(after), 1) == 0 else None
    return 0 if math.prod(after) == math.prod(rest) else None
