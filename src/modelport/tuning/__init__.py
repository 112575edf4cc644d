"""Benchmarks, and the search for the fastest plan."""

import typing

from modelport import lazy

if typing.TYPE_CHECKING:
    from modelport.tuning.bench_result import Bench, Measured
    from modelport.tuning.bench_runner import bench, measure_plans
    from modelport.tuning.interleaved_timing import (
        Timing,
        interleave,
        median_interval,
        paired_ratios,
    )
    from modelport.tuning.tables import (
        BENCH_HEADS,
        TUNING_HEADS,
        bench_page,
        bench_rows,
        tuning_page,
        tuning_rows,
    )
    from modelport.tuning.tuner import METRICS, Tuning, tune
    from modelport.tuning.workspace import make_workspace
else:
    __getattr__, __dir__ = lazy.public_names(
        __name__,
        {
            "bench_result": ("Bench", "Measured"),
            "bench_runner": ("bench", "measure_plans"),
            "tables": (
                "BENCH_HEADS",
                "TUNING_HEADS",
                "bench_page",
                "bench_rows",
                "tuning_page",
                "tuning_rows",
            ),
            "interleaved_timing": ("Timing", "interleave", "median_interval", "paired_ratios"),
            "tuner": ("METRICS", "Tuning", "tune"),
            "workspace": ("make_workspace",),
        },
    )

__all__ = [
    "BENCH_HEADS",
    "METRICS",
    "TUNING_HEADS",
    "Bench",
    "Measured",
    "Timing",
    "Tuning",
    "bench",
    "bench_page",
    "bench_rows",
    "interleave",
    "make_workspace",
    "measure_plans",
    "median_interval",
    "paired_ratios",
    "tune",
    "tuning_page",
    "tuning_rows",
]
