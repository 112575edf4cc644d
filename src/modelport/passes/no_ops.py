"""No-ops: nodes that give what they are given."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from modelport.ir.constants import constant
from modelport.ir.domains import is_onnx
from modelport.ir.values import input_of, replace_value
from modelport.passes.base import Rewrite


class RemoveNoOps(Rewrite):
    """Whoever reads the output of a node that changes nothing reads its input, subgraphs too.

    That is: `Identity`; arithmetic with 0 or 1 that does not broadcast; `Cast` to the same dtype;
    `Reshape`, `Expand`, `Tile`, `Pad`, `Slice` and `Transpose` to what is there already;
    `Dropout` outside of training; `Clip` without bounds; a second `Relu`; `Concat`, `Sum`, `Min`,
    `Max` and `Mean` of one; `ScatterND` and `ScatterElements` of nothing.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Removes no-ops."""
        modified = False
        for node in list(model.graph.all_nodes()):
            test = _TESTS.get(node.op_type)
            if test is None or not is_onnx(node, node.op_type) or not node.inputs:
                continue
            if any(value.uses() or value.is_graph_output() for value in node.outputs[1:]):
                continue
            place = test(node)
            value = None if place is None else node.inputs[place]
            output = node.outputs[0]
            if value is not None and (output.uses() or output.is_graph_output()):
                replaced = replace_value(output, value)
                why = "" if replaced else f"{value.name!r} cannot be an output of the graph"
                self.decided(node, f"{value.name!r} is read instead", refused=why)
                modified |= replaced
        return ir.passes.PassResult(model, modified)


def _always(node: ir.Node) -> int | None:
    return 0 if len(node.inputs) == 1 else None


def _neutral(number: float, *places: int) -> Callable[[ir.Node], int | None]:
    """A test for arithmetic with a neutral number at one of the places."""

    def test(node: ir.Node) -> int | None:
        for place in places:
            array = constant(input_of(node, place))
            other = input_of(node, 1 - place)
            if array is None or other is None or other.shape is None or array.dtype.kind in "OSU":
                continue
            if not array.size or not np.all(array == number):
                continue
            if _keeps_shape(array.shape, other.shape):
                return 1 - place
        return None

    return test


def _keeps_shape(added: tuple[int, ...], shape: ir.Shape) -> bool:
    """Whether broadcasting with a shape leaves another one as it is."""
    if len(added) > len(shape):
        return False
    pairs = zip(reversed(added), reversed(shape.dims), strict=False)
    return all(size in (1, dim) for size, dim in pairs)


def _cast(node: ir.Node) -> int | None:
    value = node.inputs[0]
    kind = node.attributes.get_int("to", 0)
    return 0 if value is not None and value.dtype is not None and value.dtype == kind else None


def _cast_like(node: ir.Node) -> int | None:
    value, like = node.inputs[0], input_of(node, 1)
    if value is None or like is None or value.dtype is None:
        return None
    return 0 if value.dtype == like.dtype else None


def _same_shape(node: ir.Node) -> int | None:
    """For operators that keep the elements and their order."""
    value, output = node.inputs[0], node.outputs[0]
    if value is None or value.shape is None or output.shape is None:
        return None
    known = all(isinstance(dim, int) or dim.value for dim in value.shape)
    return 0 if known and value.shape.dims == output.shape.dims else None


def _pad(node: ir.Node) -> int | None:
    pads = constant(input_of(node, 1))
    return 0 if pads is not None and not pads.any() else None


def _tile(node: ir.Node) -> int | None:
    repeats = constant(input_of(node, 1))
    return 0 if repeats is not None and bool((repeats == 1).all()) else None


def _slice(node: ir.Node) -> int | None:
    value = node.inputs[0]
    starts, ends = constant(input_of(node, 1)), constant(input_of(node, 2))
    if value is None or starts is None or ends is None or starts.any():
        return None
    axes, steps = constant(input_of(node, 3)), constant(input_of(node, 4))
    if (input_of(node, 3) is not None and axes is None) or (
        input_of(node, 4) is not None and (steps is None or not (steps == 1).all())
    ):
        return None
    which = range(ends.size) if axes is None else axes.tolist()
    for axis, end in zip(which, ends.tolist(), strict=True):
        if end >= np.iinfo(ends.dtype).max:
            continue
        dim = None if value.shape is None else value.shape[axis]
        if not isinstance(dim, int) or end < dim:
            return None
    return 0


def _transpose(node: ir.Node) -> int | None:
    perm = node.attributes.get("perm")
    if perm is None or perm.is_ref():
        return None
    order = list(perm.as_ints())
    return 0 if order == sorted(order) else None


def _dropout(node: ir.Node) -> int | None:
    training = input_of(node, 2)
    if training is None:
        return None if "is_test" in node.attributes else 0
    flag = constant(training)
    return 0 if flag is not None and not flag.any() else None


def _clip(node: ir.Node) -> int | None:
    bounded = any(value is not None for value in node.inputs[1:])
    return None if bounded or "min" in node.attributes or "max" in node.attributes else 0


def _relu(node: ir.Node) -> int | None:
    value = node.inputs[0]
    producer = None if value is None else value.producer()
    return 0 if producer is not None and is_onnx(producer, "Relu") else None


def scatters_nothing(node: ir.Node) -> int | None:
    """0, the place of the data, for a scatter whose updates have no elements; else None."""
    updates = input_of(node, 2)
    shape = () if updates is None or updates.shape is None else updates.shape.dims
    return 0 if 0 in shape else None


_TESTS: dict[str, Callable[[ir.Node], int | None]] = {
    "Add": _neutral(0, 0, 1),
    "Cast": _cast,
    "CastLike": _cast_like,
    "Clip": _clip,
    "Concat": _always,
    "Div": _neutral(1, 1),
    "Dropout": _dropout,
    "Expand": _same_shape,
    "Flatten": _same_shape,
    "Identity": _always,
    "Max": _always,
    "Mean": _always,
    "Min": _always,
    "Mul": _neutral(1, 0, 1),
    "Pad": _pad,
    "Pow": _neutral(1, 1),
    "Relu": _relu,
    "Reshape": _same_shape,
    "ScatterElements": scatters_nothing,
    "ScatterND": scatters_nothing,
    "Slice": _slice,
    "Sub": _neutral(0, 1),
    "Sum": _always,
    "Tile": _tile,
    "Transpose": _transpose,
}
