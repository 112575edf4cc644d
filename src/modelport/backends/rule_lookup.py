"""The rules that a backend brings along for `modelport.graph.lint`."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import cast

from modelport.errors import UsageError
from modelport.graph.lint_report import Rule
from modelport.target import Target

LINTED = ("onnxruntime", "openvino", "tensorrt", "tensorrt-rtx")


def lint_rules(target: Target | str) -> Sequence[Rule]:
    """The rules of a target's backend.

    Args:
        target: The target; the backend itself need not be installed.

    Raises:
        UsageError: The backend has no rules.
    """
    name = Target.parse(target).backend
    if name not in LINTED:
        raise UsageError(
            f"there are no rules for the backend {name!r}", fix=f"one of: {', '.join(LINTED)}"
        )
    module = importlib.import_module(f"modelport.backends.{name.replace('-', '_')}.lint")
    return cast("Sequence[Rule]", module.RULES)
