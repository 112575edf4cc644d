"""Results of an operator's proof."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from modelport.errors import ProofError


@dataclass(frozen=True)
class Check:
    """One comparison.

    Attributes:
        way: What computed it: ``kernel``, ``kernel, strided``, ``shape rule``, ``gradient``,
            ``opcheck``, ``onnxruntime``, ``body``, ``dynamo``, ``trace``; ``cases`` where nothing
            was drawn that could be compared.
        case: The case: its number, shapes and attributes.
        ok: Whether it agrees with the reference; None where it could not be tried.
        detail: What is wrong, or why it could not be tried.
    """

    way: str
    case: str
    ok: bool | None
    detail: str = ""


@dataclass(frozen=True)
class Conformance:
    """Result of the proof of an operator.

    Attributes:
        operator: Its qualified name.
        checks: Everything that was compared, in order.
    """

    operator: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """True if nothing disagrees, and the kernel was compared at all."""
        return bool(self.checks) and not self.failures

    @property
    def failures(self) -> list[Check]:
        """The checks that disagree."""
        return [check for check in self.checks if check.ok is False]

    def counts(self) -> dict[str, tuple[int, int, int]]:
        """Numbers of cases that agree, disagree, and could not be tried, by execution path."""
        ways = dict.fromkeys(check.way for check in self.checks)
        return {
            way: tuple(  # type: ignore[misc]
                sum(check.way == way and check.ok is outcome for check in self.checks)
                for outcome in (True, False, None)
            )
            for way in ways
        }

    def require(self) -> None:
        """Raises `ProofError` if something disagrees."""
        if self.ok:
            return
        first = self.failures[0]
        raise ProofError(
            f"{self.operator}: {first.way} does not compute what the reference computes",
            where=first.case,
            why=first.detail,
            fix=f"{len(self.failures)} of {len(self.checks)} comparisons fail; mend the kernel, or "
            "the reference where it is the one that is wrong",
        )

    def to_json(self) -> dict[str, Any]:
        """The findings as plain dicts and lists."""
        return {
            "operator": self.operator,
            "ok": self.ok,
            "checks": [asdict(check) for check in self.checks],
        }
