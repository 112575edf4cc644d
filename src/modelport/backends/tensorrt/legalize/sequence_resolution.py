"""Sequences of known length: their tensors take their place."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from modelport.backends.tensorrt.legalize.sequences import ExpandSequences
from modelport.ir.domains import is_onnx
from modelport.passes.base import Rewrite
from modelport.passes.constant_folding import FoldConstants

_SIZE_LIMIT = 1 << 20
_OPERATORS = (
    *("SequenceConstruct", "SequenceAt", "SequenceInsert", "SequenceErase", "SequenceLength"),
    *("SequenceEmpty", "SplitToSequence", "ConcatFromSequence", "Optional", "OptionalGetElement"),
    "OptionalHasElement",
)


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
