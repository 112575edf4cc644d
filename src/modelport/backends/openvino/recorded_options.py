"""Checks of the options that a manifest records; see `modelport.backends.recorded_options`."""

from __future__ import annotations

from modelport.backends.recorded_options import OptionCheck, is_threads, one_of

RECORDED: dict[str, OptionCheck] = {"hint": one_of("latency", "throughput"), "threads": is_threads}
