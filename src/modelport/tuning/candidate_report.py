"""Results of candidates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelport.deployment.plan import Plan
from modelport.tuning.interleaved_timing import Timing

FINISHED, SLOWER, WRONG, FAILED, UNTRIED = "finished", "slower", "wrong", "failed", "not tried"


@dataclass
class Row:
    """Result of one candidate.

    Attributes:
        plan: How the model was compiled.
        state: ``finished`` (it was in the final), ``slower`` (it left before), ``wrong`` (it does
            not compute what the original computes), ``failed`` or ``not tried``.
        why: What is to be said about that.
        samples: Seconds a call, of every turn of the final; of its last duel where it left before.
        ratio: Its time over the winner's, in the rounds that both ran; the median.
        ratio_interval: The confidence interval of `ratio`.
        memory: Bytes that its process held at most.
        error: The largest error of an output as a whole, relative to its rms; None where it was
            not compared with the original on all cases.
        opened: Seconds to compile and open it.
    """

    plan: Plan
    state: str = UNTRIED
    why: str = ""
    samples: list[float] = field(default_factory=list)
    ratio: float | None = None
    ratio_interval: tuple[float, float] | None = None
    memory: int = 0
    error: float | None = None
    opened: float = 0.0

    @property
    def timing(self) -> Timing | None:
        """Its timing; None where it was never timed."""
        return Timing(tuple(self.samples)) if self.samples else None

    def to_json(self) -> dict[str, Any]:
        """The row as plain dicts and lists."""
        return {
            "candidate": str(self.plan),
            "target": str(self.plan.target),
            "options": dict(self.plan.options),
            "rewrites": list(self.plan.rewrites),
            "state": self.state,
            "why": self.why,
            "seconds": self.timing.to_json() if self.timing else None,
            "ratio": self.ratio,
            "ratio_interval": self.ratio_interval,
            "memory": self.memory,
            "error": self.error,
            "opened": self.opened,
        }


def pareto(rows: Sequence[Row], keys: Sequence[Callable[[Row], float]]) -> list[Row]:
    """The Pareto front: rows that no other beats in one key without being worse in another.

    Args:
        rows: Rows that are right.
        keys: What is to be small.
    """

    def beats(one: Row, other: Row) -> bool:
        pairs = [(key(one), key(other)) for key in keys]
        return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)

    return [row for row in rows if not any(beats(other, row) for other in rows)]
