"""Comparisons with a range of numbers: one-hot codes and identities of sizes known at run time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from modelport.ir.constants import constant
from modelport.ir.values import rank, sizes
from modelport.passes.expand import Expansion, Writer

_INT64 = ir.DataType.INT64


class ExpandIndices(Expansion):
    """`OneHot` whose depth, and `EyeLike` whose shape, is known at run time alone."""

    operators = ("OneHot", "EyeLike")
    lacking = "this operator with sizes that are known at run time alone"
    instead = "a comparison with a range of numbers"

    def expand(self, node: ir.Node, write: Writer) -> Sequence[ir.Value | None] | None:
        """Writes the comparison."""
        if node.op_type == "OneHot":
            return _one_hot(node, write)
        x = node.inputs[0]
        if x is None or sizes(x) is not None:
            return None
        dtype = node.attributes.get_int("dtype", int(x.dtype or ir.DataType.FLOAT))
        shape = write("Shape", x)
        rows, columns = (write("Range", 0, write("Gather", shape, place), 1) for place in (0, 1))
        diagonal = write("Add", rows, node.attributes.get_int("k", 0))
        equal = write("Equal", write("Unsqueeze", diagonal, [1]), columns)
        return [write("Cast", equal, to=dtype)]


def _one_hot(node: ir.Node, write: Writer) -> Sequence[ir.Value] | None:
    indices, depth, values = node.inputs
    count = rank(indices)
    if constant(depth) is not None or count is None:
        return None
    axis = node.attributes.get_int("axis", -1)
    axis = axis + count + 1 if axis < 0 else axis
    size = write("Reshape", write("Cast", depth, to=_INT64), np.zeros(0, np.int64))
    numbers = write("Cast", indices, to=_INT64)
    counted = write("Where", write("Less", numbers, 0), write("Add", numbers, size), numbers)
    along = [1] * (count + 1)
    along[axis] = -1
    classes = write("Reshape", write("Range", 0, size, 1), along)
    equal = write("Equal", write("Unsqueeze", counted, [axis]), classes)
    off, on = (write("Gather", values, place) for place in (0, 1))
    return [write("Where", equal, on, off)]
