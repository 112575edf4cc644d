"""Outputs whose size depends on values: as many rows as there may be, and a count of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import NameFixPass

from modelport.backends.adapters import Trim, add_adapters
from modelport.backends.tensorrt.legalize.data_dependent_flow import RowFlow, Rows
from modelport.backends.tensorrt.legalize.nms import suppressed
from modelport.errors import PassError
from modelport.findings import Finding, Severity
from modelport.ir.domains import is_onnx
from modelport.ir.values import rank
from modelport.model import Model
from modelport.passes.base import apply_passes
from modelport.passes.expand import OLDEST, Writer
from modelport.passes.shape_inference import InferShapes

_INT64 = ir.DataType.INT64
_LOG = logging.getLogger("modelport.passes")


def pad_rows(model: Model, title: str) -> list[Finding]:
    """Gives outputs whose sizes depend on values a fixed size, and lets them be trimmed.

    `NonMaxSuppression`, `NonZero` and `Compress` give all the rows that there may be, those that
    there are first. What follows must compute each row by itself. A count becomes an output of the
    graph, and an adapter trims the model's outputs after a run.

    Args:
        model: The model; changed in place.
        title: The backend's name, for the notes.

    Returns:
        A note for each node.

    Raises:
        PassError: A node that follows computes across the rows.
    """
    found = [node for node in model.ir.graph if is_onnx(node, *_SOURCES)]
    if not found or model.opset < OLDEST:
        return []
    rows: dict[ir.Value, Rows] = {}
    findings = []
    for node in found:
        write = Writer(node, model.opset)
        name, place = node.outputs[0].name, node.name or node.outputs[0].name
        values, there, axis, size = _SOURCES[node.op_type](node, write)
        along = [-1 if place == axis else 1 for place in range(size)]
        made, count = _moved_up(write, values, there, axis, along)
        count.name = f"{name}_count"
        write.replace([made])
        made.shape = None
        rows[made] = Rows(axis, count, f"{node.op_type} {place!r}")
        findings.append(_note(node, str(place), title))
        _LOG.debug("pad-rows: node %r (%s): a fixed size and a count: done", place, node.op_type)
    NameFixPass()(model.ir)
    _forget_shapes(model.ir, rows)
    apply_passes([InferShapes()], model.ir)
    flow = RowFlow(rows, title, model.opset)
    flow.follow(model.ir.graph)
    NameFixPass()(model.ir)
    outputs = [value for value in model.ir.graph.outputs if value in flow.rows]
    _adapt(model.ir, {value: flow.rows[value] for value in outputs})
    return findings


def _adapt(ir_model: ir.Model, outputs: Mapping[ir.Value, Rows]) -> None:
    graph = ir_model.graph
    for rows in outputs.values():
        if not rows.count.is_graph_output():
            rows.count.type, rows.count.shape = ir.TensorType(_INT64), ir.Shape([1])
            graph.outputs.append(rows.count)
    add_adapters(
        ir_model,
        [Trim(str(value.name), rows.axis, str(rows.count.name)) for value, rows in outputs.items()],
    )


def _moved_up(
    write: Writer, values: ir.Value, there: ir.Value, axis: int, along: Sequence[int]
) -> tuple[ir.Value, ir.Value]:
    """The rows that there are first, in their order, zeros after them; and how many there are."""
    flags = write("Cast", there, to=_INT64)
    count = write("ReduceSum", flags, [0], keepdims=1)
    passed = write("CumSum", flags, 0)
    numbers = write("Range", 0, write("Squeeze", write("Shape", there), [0]), 1)
    # The n-th row that there is goes to n; the others follow, each to a place of its own.
    behind = write("Sub", write("Add", count, numbers), passed)
    place = write("Where", there, write("Sub", passed, 1), behind)
    order = write("ScatterElements", write("Mul", numbers, 0), place, numbers)
    moved = write("Gather", values, order, axis=axis)
    kept = write("Reshape", write("Less", numbers, count), along)
    empty = write("CastLike", np.zeros(1, np.int64), values)
    return write("Where", kept, moved, empty), count


Source = tuple[ir.Value, ir.Value, int, int]
"""Rows, which of them there are, their axis, and the rank of the whole."""


def _suppression(node: ir.Node, write: Writer) -> Source:
    rows, there = suppressed(node, write)
    return rows, there, 0, 2


def _nonzero(node: ir.Node, write: Writer) -> Source:
    x = node.inputs[0]
    count = rank(x)
    if x is None or count is None:
        raise _unknown_rank(node)
    there = write("Reshape", write("Cast", x, to=ir.DataType.BOOL), [-1])
    shape = write("Shape", x)
    rest = write("Range", 0, write("ReduceProd", shape, keepdims=0), 1)
    places: list[ir.Value] = []
    for axis in reversed(range(count)):
        size = write("Gather", shape, axis)
        places.insert(0, write("Unsqueeze", write("Mod", rest, size), [0]))
        rest = write("Div", rest, size)
    if not places:
        raise _unknown_rank(node)
    return write("Concat", *places, axis=0), there, 1, 2


def _compress(node: ir.Node, write: Writer) -> Source:
    x, condition = node.inputs
    count = rank(x)
    if count is None:
        raise _unknown_rank(node)
    if "axis" not in node.attributes:
        x, count = write("Reshape", x, [-1]), 1
    axis = node.attributes.get_int("axis", 0)
    axis = axis + count if axis < 0 else axis
    size = write("Shape", x, start=axis, end=axis + 1)
    # What the condition does not reach is not selected; what it has beyond the end is not read.
    longest = write("Max", size, write("Shape", condition))
    missing = write("Sub", longest, write("Shape", condition))
    pads = write("Concat", [0], missing, axis=0)
    padded = write("Pad", write("Cast", condition, to=_INT64), pads)
    there = write("Cast", write("Slice", padded, [0], size), to=ir.DataType.BOOL)
    assert x is not None
    return x, there, axis, count


_SOURCES: Mapping[str, Callable[[ir.Node, Writer], Source]] = {
    "NonMaxSuppression": _suppression,
    "NonZero": _nonzero,
    "Compress": _compress,
}


def _unknown_rank(node: ir.Node) -> PassError:
    return PassError(
        f"{node.op_type} cannot be rewritten: the rank of its input is not known, or 0",
        where=f"node {node.name or node.outputs[0].name!r}",
        fix="export the model with example inputs, so that its tensors have shapes",
    )


def _forget_shapes(ir_model: ir.Model, rows: Mapping[ir.Value, Rows]) -> None:
    """Sizes that were named after the rows are larger now."""
    changed = set(rows)
    for node in ir_model.graph:
        if any(value in changed for value in node.inputs):
            for value in node.outputs:
                changed.add(value)
                if value.shape is not None:
                    value.shape = ir.Shape([None] * len(value.shape))


def _note(node: ir.Node, place: str, title: str) -> Finding:
    return Finding(
        "padded-rows",
        Severity.NOTE,
        f"{title} knows all sizes beforehand: {node.op_type} gives as many rows as there may be, "
        "and a count; modelport trims the outputs after a run",
        where=place,
    )
