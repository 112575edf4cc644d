"""Pooling with dilations or indices, from shifted slices of the padded input."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from modelport.arrays import Array
from modelport.ir.values import rank
from modelport.passes.expand import Expansion, Writer

_END = np.iinfo(np.int64).max


class ExpandPooling(Expansion):
    """`MaxPool` with dilations or indices and `AveragePool` with dilations.

    Each element of the window is one strided slice of the padded input; the pool is the largest
    or the mean of them. Nodes with `ceil_mode` or `auto_pad` stay: the slices would need sizes.
    """

    operators = ("MaxPool", "AveragePool")
    lacking = "pooling with dilations or indices"
    instead = "slices of the input, and the largest or the mean of them"

    def expand(self, node: ir.Node, write: Writer) -> Sequence[ir.Value | None] | None:
        """Writes the slices."""
        x, attributes = node.inputs[0], node.attributes
        kernel = list(attributes["kernel_shape"].as_ints())
        count = len(kernel)
        dilations = list(attributes.get_ints("dilations", [1] * count))
        indices = len(node.outputs) > 1 and bool(
            node.outputs[1].uses() or node.outputs[1].is_graph_output()
        )
        if x is None or rank(x) != count + 2 or (set(dilations) == {1} and not indices):
            return None
        if attributes.get_int("ceil_mode", 0) or attributes.get_int("storage_order", 0):
            return None
        if attributes.get_string("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
            return None
        strides = list(attributes.get_ints("strides", [1] * count))
        pads = list(attributes.get_ints("pads", [0] * (2 * count)))
        window = _Window(write, kernel, dilations, strides, pads)
        if node.op_type == "AveragePool":
            return [window.mean(x, with_padding=bool(attributes.get_int("count_include_pad", 0)))]
        if indices:
            return window.largest_and_place(x)
        taps = window.taps(x, _lowest(x))
        return [write("Max", *taps), *([None] * (len(node.outputs) - 1))]


class _Window:
    """A pooling window, as slices."""

    def __init__(
        self,
        write: Writer,
        kernel: Sequence[int],
        dilations: Sequence[int],
        strides: Sequence[int],
        pads: Sequence[int],
    ) -> None:
        self._write, self._kernel, self._pads = write, kernel, pads
        self._dilations, self._strides = dilations, strides

    def taps(self, x: ir.Value, outside: Array) -> list[ir.Value]:
        """What each element of the window sees, at every place."""
        write, count = self._write, len(self._kernel)
        if any(self._pads):
            pads = [0, 0, *self._pads[:count], 0, 0, *self._pads[count:]]
            x = write("Pad", x, pads, outside)
        axes = list(range(2, count + 2))
        found = []
        for tap in itertools.product(*map(range, self._kernel)):
            begins = [i * step for i, step in zip(tap, self._dilations, strict=True)]
            # All of them end so that they are of one length, whatever the sizes are.
            ends = [
                (i + 1 - size) * step or _END
                for i, size, step in zip(tap, self._kernel, self._dilations, strict=True)
            ]
            found.append(write("Slice", x, begins, ends, axes, self._strides))
        return found

    def mean(self, x: ir.Value, *, with_padding: bool) -> ir.Value:
        """The mean of what the window sees; of the padding only where that counts."""
        write, dtype = self._write, _numpy(x)
        zero, total = dtype.type(0), len(list(itertools.product(*map(range, self._kernel))))
        seen: ir.Value = write("Sum", *self.taps(x, np.asarray(zero)))
        if with_padding or not any(self._pads):
            count = write.constant(np.asarray(total, dtype))
        else:
            ones = write("Expand", np.asarray([1], dtype), write("Shape", x))
            count = write("Sum", *self.taps(ones, np.asarray(zero)))
        mean: ir.Value = write("Div", seen, count)
        return mean

    def largest_and_place(self, x: ir.Value) -> list[ir.Value]:
        """The largest that the window sees, and its place in the whole tensor, row by row."""
        write, count = self._write, len(self._kernel)
        shape = write("Shape", x)
        spatial = write("Slice", shape, [2], [count + 2])
        area = write("ReduceProd", spatial, keepdims=0)
        numbers = write(
            "Reshape", write("Range", 0, area, 1), write("Concat", [1, 1], spatial, axis=0)
        )
        values = self._stacked(self.taps(x, _lowest(x)))
        places = self._stacked(self.taps(numbers, np.asarray(-1, np.int64)))
        best = write("ArgMax", values, axis=2)
        largest = write("GatherElements", values, best, axis=2)
        place = write(
            "GatherElements", write("Expand", places, write("Shape", values)), best, axis=2
        )
        planes = write("Slice", shape, [0], [2])
        plane = write("Range", 0, write("ReduceProd", planes, keepdims=0), 1)
        ones = write.constant(np.ones(count, np.int64))
        begin = write("Mul", write("Reshape", plane, write("Concat", planes, ones, axis=0)), area)
        return [
            write("Squeeze", largest, [2]),
            write("Add", write("Squeeze", place, [2]), begin),
        ]

    def _stacked(self, taps: Sequence[ir.Value]) -> ir.Value:
        stacked: ir.Value = self._write(
            "Concat", *(self._write("Unsqueeze", tap, [2]) for tap in taps), axis=2
        )
        return stacked


def _numpy(x: ir.Value) -> np.dtype[Any]:
    assert x.dtype is not None
    return x.dtype.numpy()


def _lowest(x: ir.Value) -> Array:
    dtype = _numpy(x)
    return np.asarray(-np.inf if dtype.kind == "f" else np.iinfo(dtype).min, dtype)
