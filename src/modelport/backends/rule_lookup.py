"""The rules of a backend for `modelport.graph.lint`."""

from __future__ import annotations

from collections.abc import Sequence

from modelport.backends.registry import backend_names, get_backend
from modelport.errors import UsageError
from modelport.graph.lint_report import Rule
from modelport.target import Target


def lint_rules(target: Target | str) -> Sequence[Rule]:
    """The rules of a target's backend.

    Args:
        target: The target; the backend itself need not be installed.

    Raises:
        UsageError: The backend has no rules.
    """
    name = Target.parse(target).backend
    rules = get_backend(name).lint_rules()
    if not rules:
        linted = [other for other in backend_names() if get_backend(other).lint_rules()]
        raise UsageError(
            f"there are no rules for the backend {name!r}", fix=f"one of: {', '.join(linted)}"
        )
    return rules
