"""The threshold of `NonMaxSuppression`, at which OpenVINO drops boxes that ONNX keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from modelport.ir.constants import tensor_of
from modelport.ir.values import input_of
from modelport.passes.expand import Expansion, Writer

_SMALLEST = float(np.finfo(np.float32).tiny)
"""The smallest threshold beyond 0: smaller ones are computed as 0."""


class RaiseThreshold(Expansion):
    """`NonMaxSuppression`, which drops boxes that overlap by exactly the threshold in OpenVINO.

    ONNX drops those beyond it. Beyond a float32 number is from the next one up.
    """

    operators = ("NonMaxSuppression",)
    lacking = "NonMaxSuppression that keeps what overlaps by exactly the threshold"
    instead = "one with the next threshold"
    oldest = 10

    def expand(self, node: ir.Node, write: Writer) -> Sequence[ir.Value | None] | None:
        """Writes the node with the next number as its threshold."""
        threshold = input_of(node, 3)
        tensor = tensor_of(threshold, default=True)
        inputs = [*node.inputs, *[None] * (5 - len(node.inputs))]
        if threshold is None or tensor is not None:
            old = np.zeros(1, np.float32) if tensor is None else tensor.numpy()
            following = np.nextafter(old, np.float32(np.inf), dtype=np.float32)
            inputs[3] = write.constant(np.maximum(following, np.float32(_SMALLEST)))
        else:
            # Between 0.75 and 1.5 of the distance to the next number, which rounds to it.
            step = write("Mul", threshold, 0.75 * 2.0**-23)
            inputs[3] = write("Max", write("Add", threshold, step), _SMALLEST)
        options: dict[str, Any] = dict(node.attributes)
        return [write(node.op_type, *inputs, **options)]
