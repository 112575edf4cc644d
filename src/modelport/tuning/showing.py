"""What was measured, as tables and pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelport.report import Page, Point, Series
from modelport.tuning.race import Row

if TYPE_CHECKING:
    from modelport.tuning.tuner import Tuning

TUNING_HEADS = (
    "candidate",
    "ms a call",
    "95 %",
    "over the best",
    "MiB",
    "error",
    "what became of it",
)


def tuning_rows(tuning: Tuning) -> list[list[str]]:
    """A line for every candidate, the best first; a star marks the Pareto front."""
    return [_tuning_row(row, row in tuning.front) for row in _ranked(tuning.rows)]


def _ranked(rows: Sequence[Row]) -> list[Row]:
    def key(row: Row) -> tuple[bool, float]:
        return row.error is None, row.timing.median if row.timing else float("inf")

    return sorted(rows, key=key)


def _tuning_row(row: Row, on_front: bool) -> list[str]:
    timing = row.timing
    interval = (
        "" if timing is None else "{:.3g}..{:.3g}".format(*(1e3 * end for end in timing.interval))
    )
    became = row.state + (f": {row.why}" if row.why else "")
    return [
        str(row.plan) + (" *" if on_front else ""),
        "" if timing is None else f"{timing.median * 1e3:.3g}",
        interval,
        "" if row.ratio is None else f"{row.ratio:.2f}",
        f"{row.memory / 2**20:.0f}" if row.memory else "",
        "" if row.error is None else f"{row.error:.1e}",
        became,
    ]


def tuning_page(tuning: Tuning) -> Page:
    """The page about a tuning: time over memory of every candidate that is right."""
    series = [
        Series(
            str(row.plan) + (" *" if row in tuning.front else ""),
            (Point(row.memory / 2**20, *(1e3 * figure for figure in _figures(row))),),
        )
        for row in _ranked(tuning.rows)
        if row.error is not None and row.timing is not None
    ]
    return Page(
        f"Tuning of {tuning.source}",
        tuning.reason,
        [
            "A star marks what no other beats in time, memory and error together.",
            "The error is that of an output as a whole, relative to its rms, the largest of all "
            "cases; those without one left before they were compared on all cases, and their time "
            "does not count.",
        ],
        TUNING_HEADS,
        tuning_rows(tuning),
        series,
        ("MiB of memory", "ms a call"),
    )


def _figures(row: Row) -> tuple[float, float, float]:
    assert row.timing is not None
    return (row.timing.median, *row.timing.interval)
