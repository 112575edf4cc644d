"""Checks of the options that a manifest records; see `modelport.backends.recorded_options`."""

from __future__ import annotations

from modelport.backends.recorded_options import OptionCheck, is_flag, is_threads

RECORDED: dict[str, OptionCheck] = {
    "channels_last": is_flag,
    "freezing": is_flag,
    "threads": is_threads,
}
