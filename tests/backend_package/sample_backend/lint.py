"""Rules of `modelport graph lint --target sample`."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir

from modelport import Finding, Severity


def _slow_operators(model: onnx_ir.Model) -> Iterable[Finding]:
    for node in model.graph.all_nodes():
        if node.op_type == "Erf":
            yield Finding(
                "sample-slow",
                Severity.WARNING,
                "the sample backend computes Erf on one thread",
                node.name or "",
                "use an activation without Erf",
            )


RULES = (_slow_operators,)
