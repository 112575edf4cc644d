"""Sequences and optionals whose elements are known beforehand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from modelport.ir.constants import constant
from modelport.ir.domains import is_onnx
from modelport.ir.values import input_of
from modelport.passes.expand import Expansion, Writer


class ExpandSequences(Expansion):
    """Elements of a `SplitToSequence` into single slices, and what an `Optional` holds."""

    operators = ("SequenceAt", "OptionalGetElement", "OptionalHasElement")
    lacking = "sequences and optionals"
    instead = "the tensors that they hold"

    def expand(self, node: ir.Node, write: Writer) -> Sequence[ir.Value | None] | None:
        """Writes the tensor itself."""
        value = node.inputs[0] if node.inputs else None
        source = value.producer() if value is not None else None
        if source is None:
            return None
        if node.op_type != "SequenceAt":
            if not is_onnx(source, "Optional") or not source.inputs:
                return None
            if node.op_type == "OptionalHasElement":
                return [write.constant(np.asarray(True))]
            return [write("Identity", source.inputs[0])]
        place = constant(node.inputs[1])
        if not is_onnx(source, "SplitToSequence") or place is None:
            return None
        if input_of(source, 1) is not None:
            return None
        axis = source.attributes.get_int("axis", 0)
        kept = source.attributes.get_int("keepdims", 1)
        number = int(place)
        return [write("Gather", source.inputs[0], [number] if kept else number, axis=axis)]
