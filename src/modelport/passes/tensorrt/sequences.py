"""Sequences and optionals whose elements are known beforehand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from modelport.ir.constants import constant
from modelport.ir.domains import is_onnx
from modelport.ir.values import input_of
from modelport.passes.contract import Rewrite
from modelport.passes.expansion import Expansion, Writer
from modelport.passes.folding import FoldConstants

_SIZE_LIMIT = 1 << 20
_OPERATORS = (
    *("SequenceConstruct", "SequenceAt", "SequenceInsert", "SequenceErase", "SequenceLength"),
    *("SequenceEmpty", "SplitToSequence", "ConcatFromSequence", "Optional", "OptionalGetElement"),
    "OptionalHasElement",
)


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


class ResolveSequences(Rewrite):
    """Folds sequences of known length (onnxscript), and drops those that nothing reads any more."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Folds, where there are sequences or optionals."""
        if not any(is_onnx(node, *_OPERATORS) for node in model.graph.all_nodes()):
            return ir.passes.PassResult(model, False)
        modified = bool(FoldConstants(_SIZE_LIMIT)(model).modified)
        modified |= bool(ExpandSequences()(model).modified)
        modified |= bool(RemoveUnusedNodesPass()(model).modified)
        return ir.passes.PassResult(model, modified)
