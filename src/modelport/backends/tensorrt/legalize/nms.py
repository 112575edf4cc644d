"""Non-maximum suppression as a loop: each turn takes the best box that is left."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from modelport.ir.values import input_of
from modelport.passes.expand import Writer

_INT64, _BOOL = ir.DataType.INT64, ir.DataType.BOOL
_LOWEST = np.asarray(-np.inf, np.float32)


def suppressed(node: ir.Node, write: Writer) -> tuple[ir.Value, ir.Value]:
    """Writes a `NonMaxSuppression` as standard operators.

    A turn of the loop takes the best score that is left of every batch and class (the first one of
    equal scores), and drops the boxes whose intersection over union with its box is above the
    threshold. There are as many turns as boxes may be selected, so that no sorting is needed.

    Args:
        node: The node.
        write: Writes nodes in its place.

    Returns:
        The selected boxes, int64 [batches * classes * turns, 3], in ONNX's order, and which of
        these rows there are, bool [batches * classes * turns].
    """
    boxes, scores = node.inputs[0], node.inputs[1]
    most, overlap, least = (input_of(node, place) for place in (2, 3, 4))
    shape = write("Shape", scores)
    corners = _corners(
        write, boxes, shape, center=bool(node.attributes.get_int("center_point_box", 0))
    )
    left = scores
    if least is not None:
        left = write(
            "Where", write("Greater", scores, write("Reshape", least, [1])), scores, _LOWEST
        )
    count = write("Gather", shape, 2)
    turns = count
    if most is None:
        turns = write.constant(np.asarray(0, np.int64))
    else:
        turns = write("Min", write("Reshape", most, np.zeros(0, np.int64)), count)
    threshold = _number(write, overlap)
    chosen, there = _turns(write, turns, left, corners, threshold, write("Range", 0, count, 1))
    return _rows(write, shape, chosen, there)


def _number(write: Writer, value: ir.Value | None) -> ir.Value:
    if value is None:
        return write.constant(np.asarray(0, np.float32))
    number: ir.Value = write("Reshape", value, [1])
    return number


def _corners(
    write: Writer, boxes: ir.Value | None, shape: ir.Value, *, center: bool
) -> list[ir.Value]:
    """Top, left, bottom and right of every box, each [batches, classes, boxes]."""
    parts = [write("Unsqueeze", write("Gather", boxes, place, axis=2), [1]) for place in range(4)]
    if center:
        x, y, width, height = parts
        half = np.asarray(2, np.float32)
        width, height = write("Div", width, half), write("Div", height, half)
        pairs = [
            (write("Sub", y, height), write("Add", y, height)),
            (write("Sub", x, width), write("Add", x, width)),
        ]
    else:
        pairs = [
            (
                write("Min", parts[place], parts[place + 2]),
                write("Max", parts[place], parts[place + 2]),
            )
            for place in (0, 1)
        ]
    (top, bottom), (left, right) = pairs
    return [write("Expand", item, shape) for item in (top, left, bottom, right)]


def _turns(
    write: Writer,
    turns: ir.Value,
    left: ir.Value | None,
    corners: list[ir.Value],
    threshold: ir.Value,
    numbers: ir.Value,
) -> list[ir.Value]:
    """The number of the box that each turn takes, and whether there was one left."""
    assert left is not None
    # The parser takes no loop without a condition.
    going = write.constant(np.asarray(True))
    areas = _area(write, corners)
    write.begin_body()
    turn = ir.val("turn", dtype=_INT64, shape=[])
    on = ir.val("going", dtype=_BOOL, shape=[])
    before = ir.val("left", dtype=ir.DataType.FLOAT, shape=left.shape)
    best = write("ArgMax", before, axis=2, keepdims=1)
    there = write("Greater", write("GatherElements", before, best, axis=2), _LOWEST)
    own = [write("GatherElements", item, best, axis=2) for item in corners]
    common = [
        *(write("Max", own[place], corners[place]) for place in (0, 1)),
        *(write("Min", own[place], corners[place]) for place in (2, 3)),
    ]
    both = _area(write, common)
    every = write("Sub", write("Add", _area(write, own), areas), both)
    over = write("Greater", write("Div", both, every), threshold)
    gone = write("Or", over, write("Equal", numbers, best))
    after = write("Where", gone, _LOWEST, before)
    still = write("Identity", on)
    outputs = [still, after, write("Identity", best), there]
    for value, dtype in zip(outputs, (_BOOL, ir.DataType.FLOAT, _INT64, _BOOL), strict=True):
        value.type = ir.TensorType(dtype)
    after.shape = left.shape
    body = write.body("turn", [turn, on, before], outputs)
    made: list[ir.Value] = write("Loop", turns, going, left, outputs=3, body=body)
    return made[1:]


def _area(write: Writer, corners: list[ir.Value]) -> ir.Value:
    """Height times width; 0 where a box has none."""
    zero = np.asarray(0, np.float32)
    top, left, bottom, right = corners
    height = write("Max", write("Sub", bottom, top), zero)
    width = write("Max", write("Sub", right, left), zero)
    area: ir.Value = write("Mul", height, width)
    return area


def _rows(write: Writer, shape: ir.Value, chosen: Any, there: Any) -> tuple[ir.Value, ir.Value]:
    """From [turns, batches, classes, 1] to rows of batch, class and box."""
    order = [1, 2, 0, 3]
    chosen = write("Transpose", chosen, perm=order)
    there = write("Transpose", there, perm=order)
    full = write("Shape", chosen)
    batches, classes = (write("Range", 0, write("Gather", shape, place), 1) for place in (0, 1))
    batch = write("Expand", write("Reshape", batches, [-1, 1, 1, 1]), full)
    own = write("Expand", write("Reshape", classes, [-1, 1, 1]), full)
    rows = write("Reshape", write("Concat", batch, own, chosen, axis=3), [-1, 3])
    return rows, write("Reshape", there, [-1])
