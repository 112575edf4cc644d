"""Ranks: operators that TensorRT has for two dimensions and more, on one."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from modelport.ir.values import rank
from modelport.passes.expand import Expansion, Writer


class RaiseRanks(Expansion):
    """`Softmax` and its kin, `ArgMax` and `ArgMin` of vectors, `MatMul` of a vector and a stack.

    A dimension of size 1 is added before, and taken away after.
    """

    operators = ("Softmax", "LogSoftmax", "Hardmax", "ArgMax", "ArgMin", "MatMul")
    lacking = "this operator on vectors"
    instead = "the operator on a matrix with one row"

    def expand(self, node: ir.Node, write: Writer) -> Sequence[ir.Value | None] | None:
        """Writes the node between an `Unsqueeze` and a `Squeeze`."""
        if node.op_type == "MatMul":
            return _matmul(node, write)
        x = node.inputs[0]
        if x is None or rank(x) != 1:
            return None
        attributes = {name: item.value for name, item in node.attributes.items()}
        attributes["axis"] = 1
        made = write(node.op_type, write("Unsqueeze", x, [0]), **attributes)
        return [write("Squeeze", made, [0])]


def _matmul(node: ir.Node, write: Writer) -> Sequence[ir.Value | None] | None:
    first, second = node.inputs
    ranks = rank(first), rank(second)
    if None in ranks or 1 not in ranks or ranks == (1, 1):
        return None
    if ranks[0] == 1 and ranks[1] != 2:
        return [write("Squeeze", write("MatMul", write("Unsqueeze", first, [0]), second), [-2])]
    if ranks[1] == 1 and ranks[0] != 2:
        return [write("Squeeze", write("MatMul", first, write("Unsqueeze", second, [1])), [-1])]
    return None
