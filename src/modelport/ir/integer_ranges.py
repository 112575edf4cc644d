"""Ranges of integers that a graph accepts: rows of tables, depths, bounds of slices."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modelport.ir.constants import constant
from modelport.ir.domains import is_onnx
from modelport.ir.values import input_of

if TYPE_CHECKING:
    import onnx_ir

_SAME = (
    *("Cast", "Concat", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split"),
    *("Squeeze", "Tile", "Transpose", "Unsqueeze"),
)
"""Operators whose output has elements of their first input (of Concat, of all)."""
_MOST_VALUES = 10_000


@dataclass(frozen=True)
class _Affine:
    """The elements of a value as ``factor * x + offset``, with an offset between two bounds."""

    factor: int = 1
    lowest: int = 0
    highest: int = 0

    def plus(self, lowest: int, highest: int) -> _Affine:
        return _Affine(self.factor, self.lowest + lowest, self.highest + highest)

    def times(self, factor: int) -> _Affine:
        ends = (factor * self.lowest, factor * self.highest)
        return _Affine(factor * self.factor, min(ends), max(ends))

    def inputs_within(self, least: int, most: int) -> tuple[int, int]:
        """The x whose elements lie between two bounds, both of them included."""
        ends = ((least - self.lowest) / self.factor, (most - self.highest) / self.factor)
        return math.ceil(min(ends)), math.floor(max(ends))


def accepted_integers(model: onnx_ir.Model) -> dict[str, tuple[float, float]]:
    """Finds the least and the greatest integer that a graph accepts in its inputs.

    An index must be a row of its table, also where it is converted, reshaped, moved by a constant
    or passed to a function of the model on the way. A negative index, which counts from the end, is
    left out.

    Args:
        model: The graph.

    Returns:
        Both bounds by the input's name; an input that nothing bounds is not in it.
    """
    found: dict[str, tuple[float, float]] = {}
    for value in model.graph.inputs:
        if value.name is None or value.dtype is None or not value.dtype.is_integer():
            continue
        bounds = list(_bounds(model, value))
        least = max((low for low, _ in bounds), default=0)
        most = min((high for _, high in bounds), default=-1)
        if least <= most:
            found[value.name] = (least, most)
    return found


def _bounds(model: onnx_ir.Model, value: onnx_ir.Value) -> Iterator[tuple[int, int]]:
    """Bounds of an input by each operator that it reaches."""
    waiting = [(value, _Affine())]
    seen: set[tuple[onnx_ir.Value, _Affine]] = set()
    while waiting and len(seen) < _MOST_VALUES:
        current, affine = waiting.pop()
        if (current, affine) in seen:
            continue
        seen.add((current, affine))
        for use in current.uses():
            node, index = use.node, use.idx
            limits = _limits(node, index)
            if limits is not None:
                yield affine.inputs_within(*limits)
            function = model.functions.get(node.op_identifier())
            if function is not None and index < len(function.inputs):
                waiting.append((function.inputs[index], affine))
            passed = _passed(node, index, affine)
            if passed is not None:
                waiting += [(output, passed) for output in node.outputs]


def _passed(node: onnx_ir.Node, index: int, affine: _Affine) -> _Affine | None:
    """The elements of a node's output; None where they do not depend on the input so."""
    if is_onnx(node, "Cast") and not _is_integer(node.outputs[0]):
        return None
    if is_onnx(node, *_SAME):
        return affine if index == 0 or node.op_type == "Concat" else None
    if is_onnx(node, "Where"):
        return affine if index > 0 else None
    if not is_onnx(node, "Add", "Sub", "Mul"):
        return None
    other = constant(input_of(node, 1 - index))
    if other is None or not other.size or other.dtype.kind not in "iu":
        return None
    lowest, highest = int(other.min()), int(other.max())
    if node.op_type == "Add":
        return affine.plus(lowest, highest)
    if node.op_type == "Sub" and index == 0:
        return affine.plus(-highest, -lowest)
    if node.op_type == "Sub":
        return affine.times(-1).plus(lowest, highest)
    return affine.times(lowest) if lowest == highest and lowest else None


def _is_integer(value: onnx_ir.Value) -> bool:
    return value.dtype is None or value.dtype.is_integer()


def _limits(node: onnx_ir.Node, index: int) -> tuple[int, int] | None:
    """The least and the greatest element that a node accepts in an input."""
    if is_onnx(node, "Gather", "GatherElements", "ScatterElements") and index == 1:
        return _rows(_size(input_of(node, 0), node.attributes.get_int("axis", 0)))
    if is_onnx(node, "GatherND", "ScatterND") and index == 1:
        return _rows(_smallest_indexed(node))
    if is_onnx(node, "OneHot") and index == 0:
        depth = constant(input_of(node, 1))
        return None if depth is None else _rows(int(depth.reshape(-1)[0]))
    if is_onnx(node, "Slice") and index in (1, 2):
        size = _smallest_sliced(node)
        first = index - 1
        return None if not size else (first, size - 1 + first)
    if is_onnx(node, "TopK") and index == 1:
        size = _size(input_of(node, 0), node.attributes.get_int("axis", -1))
        return None if not size else (1, size)
    if is_onnx(node, "Mod") and index == 0:
        divisor = constant(input_of(node, 1))
        # Anything is accepted; these are all that differ.
        return None if divisor is None or divisor.size != 1 else _rows(abs(int(divisor.item())))
    if is_onnx(node, "Clip") and index == 0:
        ends = [constant(input_of(node, end)) for end in (1, 2)]
        if ends[0] is None or ends[1] is None:
            return None
        return int(ends[0].item()), int(ends[1].item())
    if (node.domain, node.op_type) == ("com.microsoft", "EmbedLayerNormalization"):
        table = {0: 2, 1: 4}.get(index)
        return None if table is None else _rows(_size(input_of(node, table), 0))
    return None


def _rows(count: int | None) -> tuple[int, int] | None:
    return None if not count else (0, count - 1)


def _size(value: onnx_ir.Value | None, axis: int) -> int | None:
    """A size of a value; None where it is not fixed."""
    while value is not None and value.shape is None:
        node = value.producer()
        if node is None or not is_onnx(node, "Cast", "DequantizeLinear", "Identity"):
            return None
        value = input_of(node, 0)
    if value is None or value.shape is None or not -len(value.shape) <= axis < len(value.shape):
        return None
    size = value.shape[axis]
    return size if isinstance(size, int) else None


def _smallest_indexed(node: onnx_ir.Node) -> int | None:
    """The smallest size of the axes that an index of several numbers goes through."""
    count = _size(input_of(node, 1), -1)
    first = node.attributes.get_int("batch_dims", 0)
    return _smallest(node, range(first, first + (count or 0)))


def _smallest_sliced(node: onnx_ir.Node) -> int | None:
    axes, starts = constant(input_of(node, 3)), input_of(node, 1)
    if axes is not None:
        return _smallest(node, [int(axis) for axis in np.ravel(axes)])
    return _smallest(node, range(_size(starts, 0) or 0))


def _smallest(node: onnx_ir.Node, axes: list[int] | range) -> int | None:
    sizes = [_size(input_of(node, 0), axis) for axis in axes]
    known = [size for size in sizes if size is not None]
    return min(known) if known and len(known) == len(sizes) else None
