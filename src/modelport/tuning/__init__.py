"""Measure, and choose by what was measured."""

import typing

from modelport import lazy

if typing.TYPE_CHECKING:
    from modelport.tuning.measured import Bench, Measured
    from modelport.tuning.measuring import bench, measure_plans
    from modelport.tuning.showing import (
        BENCH_HEADS,
        TUNING_HEADS,
        bench_page,
        bench_rows,
        tuning_page,
        tuning_rows,
    )
    from modelport.tuning.timing import Timing, interleave, median_interval, paired_ratios
    from modelport.tuning.tuner import METRICS, Tuning, tune
    from modelport.tuning.workspace import make_workspace
else:
    __getattr__, __dir__ = lazy.public_names(
        __name__,
        {
            "measured": ("Bench", "Measured"),
            "measuring": ("bench", "measure_plans"),
            "showing": (
                "BENCH_HEADS",
                "TUNING_HEADS",
                "bench_page",
                "bench_rows",
                "tuning_page",
                "tuning_rows",
            ),
            "timing": ("Timing", "interleave", "median_interval", "paired_ratios"),
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
