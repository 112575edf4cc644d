"""Checks of the options that a manifest records; see `modelport.backends.recorded_options`."""

from __future__ import annotations

from modelport.backends.recorded_options import OptionCheck, are_files, is_file

RECORDED: dict[str, OptionCheck] = {
    "engine": is_file,
    "record": is_file,
    "plugins": are_files,
    "kernels": are_files,
}
