"""Fair timings on a shared machine: candidates take turns, medians and intervals are compared."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CONFIDENCE = 0.95
"""Confidence of the intervals of `median_interval`."""


@dataclass(frozen=True)
class Timing:
    """Seconds a call.

    Attributes:
        samples: One figure per round, in order.
    """

    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of all rounds."""
        return statistics.median(self.samples)

    @property
    def minimum(self) -> float:
        """The quickest round."""
        return min(self.samples)

    @property
    def interval(self) -> tuple[float, float]:
        """See `median_interval`."""
        return median_interval(self.samples)

    def percentile(self, percent: float) -> float:
        """The figure that a share of the rounds does not exceed (the nearest rank)."""
        rank = max(1, math.ceil(percent / 100 * len(self.samples)))
        return sorted(self.samples)[rank - 1]

    def to_json(self) -> dict[str, Any]:
        """The figures as plain dicts and lists."""
        low, high = self.interval
        return {
            "median": self.median,
            "low": low,
            "high": high,
            "min": self.minimum,
            **{f"p{percent}": self.percentile(percent) for percent in (90, 95, 99)},
            "rounds": len(self.samples),
        }


def median_interval(samples: Sequence[float]) -> tuple[float, float]:
    """A confidence interval for the median, whatever the distribution.

    Its ends are order statistics: the number of samples below the median is binomial
    (W. J. Conover, Practical Nonparametric Statistics, 3rd ed., section 3.2).

    Args:
        samples: The samples.

    Returns:
        The ends; the extremes where there are too few samples (less than 6) for `CONFIDENCE`.
    """
    ordered = sorted(samples)
    count = len(ordered)
    left_out, below = 0, 0.0
    while True:
        # The chance that at most `left_out` samples lie below the median.
        below += math.comb(count, left_out) / 2**count
        if 2 * below > 1 - CONFIDENCE or left_out >= count // 2:
            break
        left_out += 1
    first = max(left_out - 1, 0)
    return ordered[first], ordered[count - 1 - first]


def paired_ratios(samples: Sequence[float], base: Sequence[float]) -> list[float]:
    """Ratios per round: a disturbance that lasts slows both sides of a ratio."""
    return [one / other for one, other in zip(samples, base, strict=True)]


def interleave(
    contestants: Mapping[str, Callable[[], object]], *, rounds: int, calls: int = 1
) -> dict[str, Timing]:
    """Times functions in turn, A B C A B C ..., after a round that does not count.

    Args:
        contestants: What to call, by name.
        rounds: Rounds that count.
        calls: Calls per round and function; their mean is the round's figure.

    Returns:
        One timing per function.
    """

    def turn(function: Callable[[], object]) -> float:
        begin = time.perf_counter()
        for _ in range(calls):
            function()
        return (time.perf_counter() - begin) / calls

    samples: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, function in contestants.items():
            samples[name].append(turn(function))
    return {name: Timing(tuple(taken[1:])) for name, taken in samples.items()}
