"""Normalizations in forms that TensorRT lacks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from modelport.ir.values import rank
from modelport.passes.expand import Expansion, Writer

_END = np.iinfo(np.int64).max


class ExpandNormalization(Expansion):
    """`BatchNormalization` in training mode, and `LRN` over an even number of channels."""

    operators = ("BatchNormalization", "LRN")
    lacking = "normalization by the batch, and LRN over an even number of channels"
    instead = "means and sums"

    def expand(self, node: ir.Node, write: Writer) -> Sequence[ir.Value | None] | None:
        """Writes the arithmetic."""
        if node.op_type == "LRN":
            return _lrn(node, write)
        if not node.attributes.get_int("training_mode", 0):
            return None
        return _batch(node, write)


def _batch(node: ir.Node, write: Writer) -> Sequence[ir.Value | None] | None:
    x, scale, bias, mean, variance = node.inputs
    count = rank(x)
    if count is None or count < 2:
        return None
    axes = [axis for axis in range(count) if axis != 1]
    own_mean = write("ReduceMean", x, axes)
    moved = write("Sub", x, own_mean)
    own_variance = write("ReduceMean", write("Mul", moved, moved), axes)
    epsilon = node.attributes.get_float("epsilon", 1e-5)
    spread = write("Sqrt", write("Add", own_variance, float(epsilon)))
    along = [1, -1, *[1] * (count - 2)]
    scaled = write("Mul", write("Div", moved, spread), write("Reshape", scale, along))
    made: list[ir.Value | None] = [write("Add", scaled, write("Reshape", bias, along))]
    momentum = node.attributes.get_float("momentum", 0.9)
    for old, own in zip((mean, variance), (own_mean, own_variance), strict=True):
        kept = write("Mul", old, float(momentum))
        new = write("Mul", write("Reshape", own, [-1]), float(1 - momentum))
        made.append(write("Add", kept, new))
    return made[: len(node.outputs)]


def _lrn(node: ir.Node, write: Writer) -> Sequence[ir.Value] | None:
    x, attributes = node.inputs[0], node.attributes
    size, count = attributes["size"].as_int(), rank(x)
    if size % 2 or x is None or x.dtype is None or count is None:
        return None
    before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
    pads = [0, before, *[0] * (count - 2), 0, after, *[0] * (count - 2)]
    squares = write("Pad", write("Mul", x, x), pads, np.asarray(0, x.dtype.numpy()))
    shifted = [
        write("Slice", squares, [place], [place + 1 - size or _END], [1]) for place in range(size)
    ]
    alpha = attributes.get_float("alpha", 1e-4)
    share = write("Mul", write("Sum", *shifted), float(alpha / size))
    total = write("Add", share, float(attributes.get_float("bias", 1.0)))
    return [write("Div", x, write("Pow", total, float(attributes.get_float("beta", 0.75))))]
