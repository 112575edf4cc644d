"""Measure, and choose by what was measured."""

from modelport.tuning.showing import TUNING_HEADS, tuning_page, tuning_rows
from modelport.tuning.timing import Timing, interleave, median_interval, paired_ratios
from modelport.tuning.tuner import METRICS, Tuning, tune

__all__ = [
    "METRICS",
    "TUNING_HEADS",
    "Timing",
    "Tuning",
    "interleave",
    "median_interval",
    "paired_ratios",
    "tune",
    "tuning_page",
    "tuning_rows",
]
