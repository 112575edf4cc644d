"""Pooling whose size is rounded up, as ONNX and PyTorch do it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from modelport.passes.expand import Expansion, Writer


class PadCeilings(Expansion):
    """`MaxPool`, and `AveragePool` that counts no padding, with `ceil_mode`.

    ceil((n - k) / s) is floor((n - k + s - 1) / s): with s - 1 more of padding behind, which
    neither of them sees, the size that is rounded down is the same, of inputs smaller than the
    window as well. Where the padding behind would be as wide as the window, the last window could
    see nothing else; ONNX leaves that one out, so it is cut off.
    """

    operators = ("MaxPool", "AveragePool")
    lacking = "pooling whose size is rounded up as ONNX asks"
    instead = "pooling with more padding, or without the last window"

    def expand(self, node: ir.Node, write: Writer) -> Sequence[ir.Value | None] | None:
        """Writes the node with more padding, or cut."""
        attributes = node.attributes
        ceiling: int = attributes.get_int("ceil_mode", 0)
        if not ceiling or len(node.outputs) > 1:
            return None
        if attributes.get_string("auto_pad", "NOTSET") != "NOTSET":
            return None
        counted: int = attributes.get_int("count_include_pad", 0)
        if node.op_type == "AveragePool" and counted:
            return None
        kernel = attributes["kernel_shape"].as_ints()
        count = len(kernel)
        steps = np.asarray(attributes.get_ints("strides", [1] * count))
        gaps = np.asarray(attributes.get_ints("dilations", [1] * count))
        pads = np.asarray(attributes.get_ints("pads", [0] * (2 * count)))
        windows = (np.asarray(kernel) - 1) * gaps + 1
        more = np.concatenate([pads[:count], pads[count:] + steps - 1])
        options: dict[str, Any] = dict(attributes)
        if (more[count:] < windows).all():
            options |= {"ceil_mode": 0, "pads": more.tolist()}
            return [write(node.op_type, node.inputs[0], **options)]
        pooled = write(node.op_type, node.inputs[0], **options)
        spatial = write("Slice", write("Shape", node.inputs[0]), [2], [count + 2])
        # Windows that begin before the padding behind.
        ends = write("Div", write("Add", spatial, pads[:count] + steps - 1), steps)
        return [write("Slice", pooled, [0] * count, ends, list(range(2, count + 2)))]
