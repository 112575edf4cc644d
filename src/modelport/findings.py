"""Findings: what was noticed about a model on its way, in one form everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """Severity of a finding."""

    ERROR = "error"
    """Proven: the result differs from the original model."""
    WARNING = "warning"
    """Likely to hurt: look at it before shipping."""
    NOTE = "note"
    """Good to know; no probe could prove it to be wrong."""


@dataclass(frozen=True)
class Finding:
    """One thing that was noticed.

    Attributes:
        rule: The rule's name, in kebab case; documentation and tests refer to it.
        severity: How much it matters.
        message: What it means, in one or two sentences.
        where: ``file:line`` in the user's source, or the node or input concerned.
        fix: What to do about it.
    """

    rule: str
    severity: Severity
    message: str
    where: str = ""
    fix: str = ""

    def __str__(self) -> str:
        location = f" at {self.where}" if self.where else ""
        advice = f" Fix: {self.fix}" if self.fix else ""
        return f"{self.severity}: [{self.rule}]{location}: {self.message}{advice}"
