"""What will hurt on a target, after all that modelport does about it."""

from __future__ import annotations

from modelport.backends import lint_rules
from modelport.errors import PassError
from modelport.findings import Finding, Severity
from modelport.graph import lint
from modelport.model import Model
from modelport.passes.legalization import prepare
from modelport.target import Target


def lint_for(model: Model, target: Target | str) -> list[Finding]:
    """Says beforehand what a target's backend would refuse, and what would be rewritten for it.

    The graph is prepared as for compiling; then the backend's rules look at it. Those of TensorRT
    ask its own parser, where it is installed.

    Args:
        model: The model; it stays as it is.
        target: The target; the backend itself need not be installed.

    Returns:
        The findings, the worst first.

    Raises:
        UsageError: The backend has no rules.
    """
    wanted = Target.parse(target)
    rules = lint_rules(wanted)
    try:
        ready = prepare(model, wanted)
    except PassError as error:
        told = f"{error.what}: {error.why}" if error.why else error.what
        refused = Finding("no-rewrite", Severity.ERROR, told, error.where or "", error.fix or "")
        return [refused, *lint(model, rules)]
    changes = ready.findings[len(model.findings) :]
    order = list(Severity)
    return sorted([*lint(ready, rules), *changes], key=lambda item: order.index(item.severity))
