"""Tables and pages of measurements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelport.report import Page, Point, Series
from modelport.tuning.candidate_report import Row
from modelport.tuning.int8_candidates import quantized_how
from modelport.tuning.interleaved_timing import Timing

if TYPE_CHECKING:
    from modelport.tuning.bench_result import Bench, Measured
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
            *(
                f"int8, {form}: {quantized_how(choice)}."
                for form, choice in tuning.quantizations.items()
            ),
        ],
        TUNING_HEADS,
        tuning_rows(tuning),
        series,
        ("MiB of memory", "ms a call"),
    )


def _figures(row: Row) -> tuple[float, float, float]:
    assert row.timing is not None
    return (row.timing.median, *row.timing.interval)


BENCH_HEADS = (
    *("model", "setting", "ms a call", "95 %", "p90", "p99"),
    *("calls a second", "times faster", "MiB"),
)


def bench_rows(bench: Bench) -> list[list[str]]:
    """A line for every model at every setting."""
    return [_bench_row(row) for row in bench.rows]


def _bench_row(row: Measured) -> list[str]:
    setting = [f"{name}={size}" for name, size in row.sizes.items()]
    setting += [f"{row.threads} threads"] if row.threads else []
    if row.timing is None:
        return [row.model, ", ".join(setting), f"failed: {row.failure}", *[""] * 6]
    calls = Timing(tuple(row.calls))
    return [
        row.model,
        ", ".join(setting),
        f"{row.timing.median * 1e3:.3g}",
        "..".join(f"{end * 1e3:.3g}" for end in row.timing.interval),
        f"{calls.percentile(90) * 1e3:.3g}",
        f"{calls.percentile(99) * 1e3:.3g}",
        f"{1 / row.timing.median:.4g}",
        _ratio(row),
        f"{row.memory / 2**20:.0f}",
    ]


def _ratio(row: Measured) -> str:
    if row.ratio is None or row.ratio_interval is None:
        return ""
    low, high = row.ratio_interval
    return f"{row.ratio:.2f} ({low:.2f}..{high:.2f})"


def bench_page(bench: Bench) -> Page:
    """The page about a bench: time over the first size that varies, else over the threads."""
    varied = [name for row in bench.rows for name in row.sizes]
    name = varied[0] if varied else "threads"
    by_model: dict[str, list[Point]] = {}
    for row in bench.rows:
        if row.timing is not None:
            x = float(row.sizes[name] if varied else row.threads)
            others = [f"{key}={size}" for key, size in row.sizes.items() if key != name]
            others += [f"{row.threads} threads"] if varied and row.threads else []
            label = ", ".join([row.model, *others])
            ends = (1e3 * end for end in row.timing.interval)
            by_model.setdefault(label, []).append(Point(x, 1e3 * row.timing.median, *ends))
    return Page(
        "Measurements",
        f"{len(bench.rows)} measurements against {bench.against}",
        [
            "Models took turns, each in a process of its own; p90 and p99 are those of single "
            "calls." + (f" {bench.at_once} calls ran at a time." if bench.at_once > 1 else "")
        ],
        BENCH_HEADS,
        bench_rows(bench),
        [Series(label, tuple(points)) for label, points in by_model.items()],
        (name, "ms a call"),
    )
