"""Recurrent layers whose batch comes first, which OpenVINO computes wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from modelport.passes.expand import Expansion, Writer


class TransposeBatches(Expansion):
    """`GRU`, `LSTM` and `RNN` whose batch comes first, as ones whose steps come first."""

    operators = ("GRU", "LSTM", "RNN")
    lacking = "recurrent layers whose batch comes first"
    instead = "one whose steps come first, between Transposes"
    oldest = 14

    def expand(self, node: ir.Node, write: Writer) -> Sequence[ir.Value | None] | None:
        """Writes the node with `layout` 0."""
        if not node.attributes.get_int("layout", 0):
            return None
        inputs: list[ir.Value | None] = list(node.inputs)
        for index in (0, 5, 6):
            if index < len(inputs) and inputs[index] is not None:
                inputs[index] = write("Transpose", inputs[index], perm=[1, 0, 2])
        options: dict[str, Any] = dict(node.attributes) | {"layout": 0}
        count = len(node.outputs)
        made = write(node.op_type, *inputs, outputs=count, **options)
        results = [made] if count == 1 else list(made)
        orders = ([2, 0, 1, 3], [1, 0, 2], [1, 0, 2])
        return [
            write("Transpose", result, perm=order) if old.uses() or old.is_graph_output() else None
            for old, result, order in zip(node.outputs, results, orders, strict=False)
        ]
