"""Result of `bench`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelport.tuning.interleaved_timing import Timing


@dataclass
class Measured:
    """One model at one setting.

    Attributes:
        model: What was run.
        threads: Number of threads that was set; 0 if it was not set.
        sizes: Sizes of dynamic dimensions that were chosen.
        rounds: The median of each turn, in seconds a call.
        calls: Every call of every turn.
        ratio: How many times faster it is than what it is measured against, in the same rounds; the
            median.
        ratio_interval: The confidence interval of `ratio`.
        memory: Bytes that its process held at most.
        failure: Why it could not be measured.
    """

    model: str
    threads: int
    sizes: Mapping[str, int]
    rounds: list[float] = field(default_factory=list)
    calls: list[float] = field(default_factory=list)
    ratio: float | None = None
    ratio_interval: tuple[float, float] | None = None
    memory: int = 0
    failure: str = ""

    @property
    def timing(self) -> Timing | None:
        """The median over the rounds, with its interval; None where it failed."""
        return Timing(tuple(self.rounds)) if self.rounds else None

    def to_json(self) -> dict[str, Any]:
        """The figures as plain dicts and lists; percentiles are those of single calls."""
        calls = Timing(tuple(self.calls)) if self.calls else None
        return {
            "model": self.model,
            "threads": self.threads,
            "sizes": dict(self.sizes),
            "seconds": None if self.timing is None else self.timing.to_json(),
            "calls": None if calls is None else {**calls.to_json(), "count": len(self.calls)},
            "ratio": self.ratio,
            "ratio_interval": self.ratio_interval,
            "memory": self.memory,
            "failure": self.failure,
        }


@dataclass(frozen=True)
class Bench:
    """Result of `bench`.

    Attributes:
        against: What the ratios are over.
        rows: Every model at every setting.
        at_once: Calls at a time.
        seconds: Seconds of every stage, by name.
    """

    against: str
    rows: tuple[Measured, ...]
    at_once: int
    seconds: Mapping[str, float]

    @property
    def ok(self) -> bool:
        """True if everything could be measured."""
        return not any(row.failure for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """The measurements as plain dicts and lists."""
        return {
            "ok": self.ok,
            "against": self.against,
            "at_once": self.at_once,
            "rows": [row.to_json() for row in self.rows],
            "seconds": dict(self.seconds),
        }
