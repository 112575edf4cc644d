"""Scattering: updates that are reduced, or put at places counted through the whole tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from modelport.ir.values import input_of, rank, sizes
from modelport.passes.expand import Expansion, Writer

_BY = {"add": "Add", "mul": "Mul", "max": "Max", "min": "Min"}


class ExpandScattering(Expansion):
    """`ScatterND` and `ScatterElements` with a reduction, and `MaxUnpool`.

    A reduction is a `Loop` that takes one update after the other: one row of `ScatterND`'s
    indices, or one slice of `ScatterElements`' along its axis, within which no place comes twice.
    """

    operators = ("ScatterND", "ScatterElements", "MaxUnpool")
    lacking = "scattering with a reduction, and MaxUnpool"
    instead = "a loop over the updates, or a scatter into zeros"

    def expand(self, node: ir.Node, write: Writer) -> Sequence[ir.Value | None] | None:
        """Writes the loop."""
        if node.op_type == "MaxUnpool":
            return _unpooled(node, write)
        reduction = node.attributes.get_string("reduction", "none")
        if reduction == "none" or None in map(rank, node.inputs):
            return None
        return (_rows if node.op_type == "ScatterND" else _slices)(node, write, _BY[reduction])


def _rows(node: ir.Node, write: Writer, by: str) -> Sequence[ir.Value]:
    data, indices, updates = node.inputs
    depth = write("Shape", indices, start=-1)
    inner = write("Slice", write("Shape", data), depth, [np.iinfo(np.int64).max])
    places = write("Reshape", indices, write("Concat", [-1], depth, axis=0))
    values = write(
        "Reshape", updates, write("Concat", write("Shape", places, end=1), inner, axis=0)
    )
    return [_loop(write, data, places, values, 0, by, None)]


def _slices(node: ir.Node, write: Writer, by: str) -> Sequence[ir.Value]:
    data, indices, updates = node.inputs
    axis = node.attributes.get_int("axis", 0)
    count = rank(data) or 0
    axis = axis + count if axis < 0 else axis
    places = write("Cast", indices, to=ir.DataType.INT64)
    return [_loop(write, data, places, updates, axis, by, axis)]


def _loop(
    write: Writer,
    data: ir.Value | None,
    places: ir.Value,
    values: ir.Value | None,
    axis: int,
    by: str,
    elements: int | None,
) -> ir.Value:
    """Takes updates along an axis, one after the other.

    Args:
        write: Writes the nodes.
        data: What is updated.
        places: The places: rows of indices, or indices along an axis.
        values: The updates.
        axis: The axis of both along which updates are taken.
        by: The operator that puts an update to what is there.
        elements: The axis of `data` that the places count along; None where they are rows.
    """
    assert data is not None
    assert data.dtype is not None
    trips = write("Squeeze", write("Shape", places, start=axis, end=axis + 1), [0])
    # The parser takes no loop without a condition.
    going = write.constant(np.asarray(True))
    write.begin_body()
    number = ir.val("update", dtype=ir.DataType.INT64, shape=[])
    on = ir.val("going", dtype=ir.DataType.BOOL, shape=[])
    before = ir.val("before", dtype=data.dtype, shape=data.shape)
    one = write("Unsqueeze", number, [0])
    place, value = (write("Gather", item, one, axis=axis) for item in (places, values))
    if elements is None:
        there = write("GatherND", before, place)
        after = write("ScatterND", before, place, write(by, there, value))
    else:
        there = write("GatherElements", before, place, axis=elements)
        after = write("ScatterElements", before, place, write(by, there, value), axis=elements)
    after.type, after.shape = data.type, data.shape
    still = write("Identity", on)
    still.type, still.shape = ir.TensorType(ir.DataType.BOOL), ir.Shape([])
    body = write.body("update", [number, on, before], [still, after])
    made: ir.Value = write("Loop", trips, going, data, body=body)
    return made


def _unpooled(node: ir.Node, write: Writer) -> Sequence[ir.Value] | None:
    x, indices = node.inputs[:2]
    shape = sizes(node.outputs[0])
    # The indices count through the shape that follows from the window, not through a given one.
    if input_of(node, 2) is not None or shape is None or x is None or x.dtype is None:
        return None
    zeros = np.zeros(math.prod(shape), x.dtype.numpy())
    flat = write(
        "ScatterElements", zeros, write("Reshape", indices, [-1]), write("Reshape", x, [-1])
    )
    return [write("Reshape", flat, shape)]
