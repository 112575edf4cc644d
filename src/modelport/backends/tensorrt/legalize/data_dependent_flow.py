"""Where the rows of an output whose size depends on values go, node by node."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import onnx_ir as ir

from modelport.backends.tensorrt.legalize.data_dependent_sizes import (
    Places,
    first_item,
    made_axis,
    moved_places,
    places_of_shape,
    with_counts,
)
from modelport.errors import PassError
from modelport.ir.constants import constant
from modelport.ir.domains import is_onnx
from modelport.ir.subgraphs import subgraphs
from modelport.ir.values import input_of, rank
from modelport.passes.expand import Writer


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


class RowFlow:
    """Follows rows, and their number, from node to node.

    Attributes:
        rows: The values that have rows of which only the first ones are there.
        sizes: The integers that say how many rows those values have.
    """

    def __init__(self, rows: Mapping[ir.Value, Rows], title: str, opset: int) -> None:
        self.rows = dict(rows)
        self.sizes: dict[ir.Value, Places] = {}
        self._title = title
        self._opset = opset

    def follow(self, graph: ir.Graph) -> None:
        """Walks a graph with shapes. How many rows there are is written where it is computed with.

        Raises:
            PassError: A node computes across the rows.
        """
        for node in list(graph):
            given = [value for value in self._read(node) if value is not None]
            if any(value in self.rows or value in self.sizes for value in _inner(node)):
                raise self._across(node)
            if any(value in self.sizes for value in given) and self._sized(node):
                continue
            if any(value in self.rows for value in given):
                self._moved(node)
        for place, value in enumerate(graph.outputs):
            producer = value.producer()
            if value in self.sizes and producer is not None:
                write = Writer(producer, self._opset)
                counted = self._counted(write, value, producer)
                write.insert(after=True)
                value.name, counted.name = f"{value.name}_held", value.name
                counted.type, counted.shape = value.type, value.shape
                graph.outputs[place] = counted

    def _read(self, node: ir.Node) -> Sequence[ir.Value | None]:
        # What a CastLike reads besides says a type alone.
        return node.inputs[:1] if is_onnx(node, "CastLike") else node.inputs

    def _sized(self, node: ir.Node) -> bool:
        """Whether a node that reads the number of rows needs no look at its other inputs."""
        places = moved_places(node, self.sizes) if is_onnx(node, node.op_type) else None
        if places is not None:
            if places:
                self.sizes[node.outputs[0]] = places
            return True
        for index, value in enumerate(node.inputs):
            held = self.sizes.get(value) if value is not None else None
            if value is None or held is None:
                continue
            axis = made_axis(node, held) if is_onnx(node, node.op_type) else None
            if axis is not None:
                made = Rows(axis, next(iter(held.values())), self._source())
                self.rows[node.outputs[0]] = made
                return True
            if index == 1 and self._is_target(node, held):
                self._moved(node, 0)
                return True
            write = Writer(node, self._opset)
            node.replace_input_with(index, self._counted(write, value, node))
            write.insert()
        return False

    def _is_target(self, node: ir.Node, held: Places) -> bool:
        """Whether the number is the size of the rows that a `Reshape` reads."""
        rows = self.rows.get(node.inputs[0]) if node.inputs[0] is not None else None
        return (
            is_onnx(node, "Reshape")
            and rows is not None
            and rows.axis == 0
            and list(held.items()) == [(0, rows.count)]
            and _has_whole_rows(node)
        )

    def _counted(self, write: Writer, value: ir.Value, node: ir.Node) -> ir.Value:
        made = with_counts(write, value, self.sizes[value])
        if made is None:
            raise self._across(node)
        return made

    def _moved(self, node: ir.Node, to: int | None = None) -> None:
        given = [self.rows.get(value) if value is not None else None for value in self._read(node)]
        first = next(item for item in given if item is not None)
        if any(item is not None and item.count is not first.count for item in given):
            raise self._across(node)
        if is_onnx(node, "Shape"):
            places = places_of_shape(node, first.axis, first.count)
            if places is None:
                raise self._across(node)
            if places:
                self.sizes[node.outputs[0]] = places
            return
        axis = to
        if axis is None:
            axis = _axis_after(node, [None if item is None else item.axis for item in given])
        count = first.count
        most = None if axis is not None else _first_rows(node, first.axis)
        if most is not None:
            write = Writer(node, self._opset)
            axis, count = first.axis, write("Min", count, [most])
            count.name = f"{node.outputs[0].name}_count"
            write.insert()
        if axis is None:
            raise self._across(node)
        for value in node.outputs:
            self.rows[value] = replace(first, axis=axis, count=count)

    def _source(self) -> str:
        return next(iter(self.rows.values())).source

    def _across(self, node: ir.Node) -> PassError:
        source = self._source()
        return PassError(
            f"the size of what {source} gives depends on values, which {self._title} does not have",
            where=f"node {node.name or node.outputs[0].name!r} ({node.op_type})",
            why="it computes across the rows, whose number is known only after a run",
            fix=f"cut the model before {source} (`modelport graph extract MODEL.onnx -o PART.onnx`)"
            ", or keep a fixed number of rows in the model",
        )


def _inner(node: ir.Node) -> list[ir.Value]:
    """What the graphs inside of a node read."""
    inner = list(subgraphs(node))
    return [
        value
        for body in inner
        for part in body.all_nodes()
        for value in part.inputs
        if value is not None
    ]


def _first_rows(node: ir.Node, axis: int) -> int | None:
    """How many rows at most a `Slice` takes from the front; None where it is something else."""
    count = rank(node.inputs[0])
    parts = [constant(input_of(node, place)) for place in range(1, len(node.inputs))]
    if not is_onnx(node, "Slice") or count is None or any(part is None for part in parts):
        return None
    starts, ends, axes, steps = [
        [int(item) for item in part] if part is not None else None for part in (*parts, None, None)
    ][:4]
    if starts is None or ends is None:
        return None
    axes = [item % count for item in axes] if axes is not None else list(range(len(starts)))
    if axes != [axis] or starts != [0] or ends[0] < 0 or steps not in (None, [1]):
        return None
    return ends[0]


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
            axes = constant(input_of(node, 3))
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
        axes = constant(input_of(node, 1))
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
    given = constant(input_of(node, 1))
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
    if node.op_type == "Flatten":
        return 0 if node.attributes.get_int("axis", 1) == 1 else None
    target = constant(input_of(node, 1))
    if target is None:
        whole = first_item(input_of(node, 1)) in (-1, 0) and _has_whole_rows(node)
        return 0 if whole else None
    rest = _behind_the_first(before)
    if rest is None or not target.size or target[0] not in (-1, 0) or 0 in target[1:]:
        return None
    after = [int(size) for size in target[1:]]
    if -1 in after:
        after = [size for size in after if size != -1]
        return 0 if target[0] == 0 and rest % max(math.prod(after), 1) == 0 else None
    return 0 if math.prod(after) == rest else None


def _has_whole_rows(node: ir.Node) -> bool:
    """Whether what follows the first axis has as many elements before a node as after."""
    before, after = (_behind_the_first(value) for value in (node.inputs[0], node.outputs[0]))
    return before is not None and before == after


def _behind_the_first(value: ir.Value | None) -> int | None:
    if value is None or not value.shape:
        return None
    rest = [size for size in value.shape[1:] if isinstance(size, int)]
    return math.prod(rest) if len(rest) == len(value.shape) - 1 else None
