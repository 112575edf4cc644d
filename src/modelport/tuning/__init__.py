"""Measure, and choose by what was measured."""

from modelport.tuning.timing import Timing, interleave, median_interval, paired_ratios
from modelport.tuning.tuner import METRICS, Tuning, tune

__all__ = [
    "METRICS",
    "Timing",
    "Tuning",
    "interleave",
    "median_interval",
    "paired_ratios",
    "tune",
]
