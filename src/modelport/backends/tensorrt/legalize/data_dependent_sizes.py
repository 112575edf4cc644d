"""The number of rows as a size: where it goes, and which tensors are made of it.

Of rows of which only the first ones are there, the graph has two numbers: how many it holds, and
how many there are. What is made with the first has rows of its own, of which as many are there;
what is computed from it must get the second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from modelport.arrays import Array
from modelport.ir.constants import constant
from modelport.ir.values import input_of, rank, sizes
from modelport.passes.expand import Writer

Places = Mapping[int, ir.Value]
"""Items of a tensor of integers that are the number of rows held, with how many there are."""


def places_of_shape(node: ir.Node, axis: int, count: ir.Value) -> Places | None:
    """Where the number of rows stands in what a `Shape` of them gives."""
    most = rank(node.inputs[0])
    if most is None:
        return None
    end = node.attributes.get_int("end", most)
    taken = list(range(most))[node.attributes.get_int("start", 0) : end]
    return {taken.index(axis): count} if axis in taken else {}


def moved_places(node: ir.Node, found: Mapping[ir.Value, Places]) -> Places | None:
    """Where the number stands after a node that only moves items; None where it does more."""
    first = node.inputs[0]
    if any(value in found for value in node.inputs[1:]) and node.op_type != "Concat":
        return None
    match node.op_type:
        case "Cast":
            to = ir.DataType(node.attributes.get_int("to", 0))
            return found[first] if first and to in _INTEGERS else None
        case "Identity" | "Squeeze" | "Unsqueeze" | "Reshape" | "Flatten":
            return found[first] if first else None
    moved = _items(node)
    if moved is None:
        return None
    held = [(value, place) for value in node.inputs if value for place in range(_size(value))]
    places: dict[int, ir.Value] = {}
    for after, before in enumerate(moved.reshape(-1)):
        value, place = held[int(before)]
        if place in found.get(value, {}):
            places[after] = found[value][place]
    return places


def made_axis(node: ir.Node, places: Places) -> int | None:
    """The axis of the rows in what a node makes of their number; None where it makes none.

    Args:
        node: A node that reads it as a size.
        places: Where it stands in what the node reads.
    """
    if len(places) != 1:
        return None
    (place,) = places
    if node.op_type == "ConstantOfShape":
        return place
    if node.op_type == "Range":
        start, delta = constant(node.inputs[0]), constant(node.inputs[2])
        from_zero = start is not None and delta is not None and not start.any() and delta == 1
        return 0 if from_zero else None
    if node.op_type in ("Expand", "Tile"):
        before, after = rank(node.inputs[0]), rank(node.outputs[0])
        target = sizes(input_of(node, 1))
        if before is None or after is None or target is None:
            return None
        axis = place + after - target[0]
        own = axis - (after - before)
        shape = node.inputs[0].shape if node.inputs[0] else None
        return axis if own < 0 or (shape is not None and shape[own] == 1) else None
    return None


def with_counts(write: Writer, value: ir.Value, places: Places) -> ir.Value | None:
    """How many rows there are in place of how many are held.

    Args:
        write: Writes the nodes.
        value: Integers.
        places: Which of them are numbers of rows held.

    Returns:
        None where the rank is not known, or above 1.
    """
    shape = sizes(value)
    if shape is None or len(shape) > 1:
        return None
    found = value
    for place, count in places.items():
        own = write("Reshape", count, np.asarray([1] * len(shape), np.int64))
        mask = np.zeros(shape, np.bool_)
        mask.reshape(-1)[place] = True
        found = write("Where", mask, write("CastLike", own, value), found)
    return found


def first_item(value: ir.Value | None) -> int | None:
    """The first of some integers, where it is known."""
    array = constant(value)
    if array is not None:
        return int(array.reshape(-1)[0]) if array.size else None
    node = value.producer() if value is not None else None
    if node is not None and node.op_type == "Concat" and _size(node.inputs[0]):
        return first_item(node.inputs[0])
    return None


_INTEGERS = (ir.DataType.INT32, ir.DataType.INT64)


def _size(value: ir.Value | None) -> int:
    return int(np.prod(sizes(value) or [1]))


def _items(node: ir.Node) -> Array | None:
    """The numbers of the items that a node gives, counted through all of its inputs."""
    numbers = _numbered(node.inputs)
    if numbers is None:
        return None
    match node.op_type:
        case "Concat":
            return np.concatenate(numbers)
        case "Gather":
            index = constant(node.inputs[1])
            return None if index is None else numbers[0][index]
        case "Slice":
            parts = [constant(input_of(node, place)) for place in (1, 2)]
            step = constant(input_of(node, 4)) if input_of(node, 4) else np.ones(1, np.int64)
            if step is None or any(part is None for part in parts):
                return None
            return numbers[0][slice(*(int(part[0]) for part in (*parts, step) if part is not None))]
    return None


def _numbered(values: Sequence[ir.Value | None]) -> list[Array] | None:
    numbers, first = [], 0
    for value in values:
        shape = sizes(value)
        if shape is None:
            return None
        count = int(np.prod(shape))
        numbers.append(np.arange(first, first + count).reshape(shape))
        first += count
    return numbers
