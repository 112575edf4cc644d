"""Fusions: neighbours that one node can do, by onnxscript's rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as ir
from onnxscript.rewriter import RewritePass
from onnxscript.rewriter.pattern import RewriteRule
from onnxscript.rewriter.rules import common

from modelport.ir.domains import is_onnx
from modelport.passes.base import Rewrite, functions_aside

_RULES: Mapping[str, Sequence[RewriteRule]] = {
    "BatchNormalization": (
        common.fuse_batchnorm_into_conv_rule,
        common.fuse_batchnorm_into_conv_transpose_rule,
        common.fuse_batchnorm_into_gemm_rule,
    ),
    "Transpose": (common.transpose_transpose_rule,),
    "Unsqueeze": (common.unsqueeze_unsqueeze_rule,),
    "Pad": (common.fuse_pad_into_conv_rule,),
}
"""Rules by the operator without which they have nothing to do: trying one takes its time."""


class FuseNeighbours(Rewrite):
    """`BatchNormalization` goes into the `Conv`, `ConvTranspose` or `Gemm` before it, `Pad` into
    the `Conv` after it; successive `Transpose`, and successive `Unsqueeze`, become one or none.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Fuses neighbours in the main graph; functions stay as they are."""
        there = {node.op_type for node in model.graph if node.domain == ""}
        rules = [rule for operator in _RULES if operator in there for rule in _RULES[operator]]
        if not rules:
            return ir.passes.PassResult(model, False)
        nodes = [node for node in model.graph if is_onnx(node, *_RULES)]
        with functions_aside(model):
            result = RewritePass(rules)(model)
        for node in nodes:
            why = "" if node.graph is None else "it has no neighbour that can do it"
            self.decided(node, "goes into a neighbour", refused=why)
        return result
