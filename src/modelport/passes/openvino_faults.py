"""Operators that OpenVINO computes wrongly, written with others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from modelport.ir.constants import tensor_of
from modelport.ir.values import input_of
from modelport.passes.expand import Expansion, Writer

_SMALLEST = float(np.finfo(np.float32).tiny)
"""The smallest threshold beyond 0: smaller ones are computed as 0."""


class TransposeBatches(Expansion):
    """`GRU`, `LSTM` and `RNN` whose batch comes first, as ones whose steps come first."""

    operators = ("GRU", "LSTM", "RNN")
    lacking = "recurrent layers whose batch comes first"
    instead = "one whose steps come first, between Transposes"
    oldest = 14

    def expand(self, node: ir.Node, write: Writer) -> Sequence[ir.Value | None] | None:
        """Writes the node with `layout` 0."""
        if not node.attributes.get_int("layout", 0):
            return None
        inputs: list[ir.Value | None] = list(node.inputs)
        for index in (0, 5, 6):
            if index < len(inputs) and inputs[index] is not None:
                inputs[index] = write("Transpose", inputs[index], perm=[1, 0, 2])
        options: dict[str, Any] = dict(node.attributes) | {"layout": 0}
        count = len(node.outputs)
        made = write(node.op_type, *inputs, outputs=count, **options)
        results = [made] if count == 1 else list(made)
        orders = ([2, 0, 1, 3], [1, 0, 2], [1, 0, 2])
        return [
            write("Transpose", result, perm=order) if old.uses() or old.is_graph_output() else None
            for old, result, order in zip(node.outputs, results, orders, strict=False)
        ]


class ReorderDepth(Expansion):
    """`SpaceToDepth` in the order column, row, depth, as the other order and a `Gather`."""

    operators = ("SpaceToDepth",)
    lacking = "SpaceToDepth with mode = CRD"
    instead = "one of the other mode, and a Gather of its channels"
    oldest = 13

    def expand(self, node: ir.Node, write: Writer) -> Sequence[ir.Value | None] | None:
        """Writes the node of the other mode."""
        x, block = node.inputs[0], node.attributes["blocksize"].as_int()
        if node.attributes.get_string("mode", "DCR") != "CRD" or x is None or x.shape is None:
            return None
        channels = x.shape[1]
        if not isinstance(channels, int):
            return None
        order = np.arange(block * block * channels).reshape(block * block, channels).T.reshape(-1)
        return [write("Gather", write("SpaceToDepth", x, blocksize=block), order, axis=1)]


class RaiseThreshold(Expansion):
    """`NonMaxSuppression`, which drops boxes that overlap by exactly the threshold in OpenVINO.

    ONNX drops those beyond it. Beyond a float32 number is from the next one up.
    """

    operators = ("NonMaxSuppression",)
    lacking = "NonMaxSuppression that keeps what overlaps by exactly the threshold"
    instead = "one with the next threshold"
    oldest = 10

    def expand(self, node: ir.Node, write: Writer) -> Sequence[ir.Value | None] | None:
        """Writes the node with the next number as its threshold."""
        threshold = input_of(node, 3)
        tensor = tensor_of(threshold, default=True)
        inputs = [*node.inputs, *[None] * (5 - len(node.inputs))]
        if threshold is None or tensor is not None:
            old = np.zeros(1, np.float32) if tensor is None else tensor.numpy()
            following = np.nextafter(old, np.float32(np.inf), dtype=np.float32)
            inputs[3] = write.constant(np.maximum(following, np.float32(_SMALLEST)))
        else:
            # Between 0.75 and 1.5 of the distance to the next number, which rounds to it.
            step = write("Mul", threshold, 0.75 * 2.0**-23)
            inputs[3] = write("Max", write("Add", threshold, step), _SMALLEST)
        options: dict[str, Any] = dict(node.attributes)
        return [write(node.op_type, *inputs, **options)]


class ExpandTile(Expansion):
    """`Tile` by repeats that are not known before a run, as `Expand` between `Reshape` nodes."""

    operators = ("Tile",)
    lacking = "Tile with repeats that are computed"
    instead = "Expand"
    oldest = 11

    def expand(self, node: ir.Node, write: Writer) -> Sequence[ir.Value | None] | None:
        """Writes [a, b] as [1, a, 1, b], expanded to [r, a, s, b], as [r * a, s * b]."""
        x, repeats = node.inputs[0], node.inputs[1]
        if x is None or x.shape is None or tensor_of(repeats, default=True) is not None:
            return None
        rank = len(x.shape)
        if not rank:
            return None
        column = [rank, 1]
        # Before, a target's 0 meant the size of that axis: no tensor without elements is tiled.
        exact = {"allowzero": 1} if write.opset >= 14 else {}
        sizes = write("Reshape", write("Shape", x), column)
        ones = write.constant(np.ones(column, np.int64))
        apart = write("Reshape", write("Concat", ones, sizes, axis=1), [-1])
        turns = write("Reshape", repeats, column)
        wide = write("Reshape", write("Concat", turns, sizes, axis=1), [-1])
        spread = write("Expand", write("Reshape", x, apart, **exact), wide)
        total = write("Mul", write("Shape", x), repeats)
        return [write("Reshape", spread, total, **exact)]
