"""Warnings that torch gives while capturing, as findings."""

from __future__ import annotations

from collections.abc import Sequence
from warnings import WarningMessage

from modelport.findings import Finding, Severity


def findings_of_warnings(heard: Sequence[WarningMessage]) -> list[Finding]:
    """The warnings that say something about the model.

    Args:
        heard: Everything warned of while capturing; deprecations inside torch are left out.

    Returns:
        A finding for each place where the tracer saw a tensor's value leave the graph.
    """
    findings = [
        Finding(
            "value-baked",
            Severity.WARNING,
            _first_sentence(str(warning.message)),
            where=f"{warning.filename}:{warning.lineno}",
            fix="compute with tensors here, or capture by dynamo or script",
        )
        for warning in heard
        if warning.category.__name__ == "TracerWarning"
    ]
    return list(dict.fromkeys(findings))


def _first_sentence(text: str) -> str:
    return text.split(". ")[0].strip()
