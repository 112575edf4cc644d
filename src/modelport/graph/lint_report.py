"""Lint: patterns of a graph that are slow or refused on a backend, by the backend's rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from modelport.findings import Finding, Severity
from modelport.graph.copies import ir_of
from modelport.ir.shape_inference import infer_shapes

if TYPE_CHECKING:
    import onnx_ir

    from modelport.model import Model

Rule = Callable[["onnx_ir.Model"], Iterable[Finding]]
"""Looks at a graph whose types and shapes are inferred, and says what will hurt."""


def lint(model: Model | onnx_ir.Model, rules: Iterable[Rule]) -> list[Finding]:
    """Looks for what will hurt before an engine is built.

    Args:
        model: The model; missing shapes are inferred in a copy.
        rules: The rules, such as those of `modelport.backends.lint_rules` for a target.

    Returns:
        The findings, the worst first.
    """
    ir = ir_of(model).clone()
    infer_shapes(ir)
    found = dict.fromkeys(finding for rule in rules for finding in rule(ir))
    order = list(Severity)
    return sorted(found, key=lambda finding: order.index(finding.severity))
