"""`SpaceToDepth` with mode CRD, which OpenVINO computes wrongly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from modelport.passes.expand import Expansion, Writer


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
