"""Scatters of nothing."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from modelport.passes.expand import Expansion, Writer
from modelport.passes.no_ops import scatters_nothing


class SkipEmptyScatters(Expansion):
    """`ScatterND` and `ScatterElements` of nothing, as a slice of an image that has no rows gives.

    OpenVINO reads a constant without elements as a number.
    """

    operators = ("ScatterND", "ScatterElements")
    lacking = "constants without elements"
    instead = "what nothing is written to"

    def expand(self, node: ir.Node, write: Writer) -> Sequence[ir.Value | None] | None:
        """Gives the data."""
        return None if scatters_nothing(node) is None else [write("Identity", node.inputs[0])]
