"""`Tile` by computed repeats, which OpenVINO computes wrongly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from modelport.ir.constants import tensor_of
from modelport.passes.expand import Expansion, Writer


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
