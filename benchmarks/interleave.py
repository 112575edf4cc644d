"""Fair timings on a shared machine: the contestants take turns, and medians are compared."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Seconds a call.

    Attributes:
        median: Of all rounds.
        minimum: Of all rounds.
    """

    median: float
    minimum: float


def interleave(
    contestants: Mapping[str, Callable[[], object]], *, rounds: int, calls: int = 1
) -> dict[str, Timing]:
    """Times contestants in turn, A B C A B C ..., after a round that does not count.

    Args:
        contestants: What to call, by name.
        rounds: Rounds that count.
        calls: Calls a round and contestant; their mean is the round's figure.

    Returns:
        One timing a contestant.
    """
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, function in contestants.items():
            begin = time.perf_counter()
            for _ in range(calls):
                function()
            samples[name].append((time.perf_counter() - begin) / calls)
    return {
        name: Timing(statistics.median(taken[1:]), min(taken[1:]))
        for name, taken in samples.items()
    }


@dataclass(frozen=True)
class Row:
    """One line of a benchmark's result.

    Attributes:
        what: What was measured.
        figure: The figure, as text with its unit.
        target: The bound, as text; empty where there is none.
        ok: Whether the figure is within the bound.
    """

    what: str
    figure: str
    target: str = ""
    ok: bool = True
