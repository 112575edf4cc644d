"""Checks of the options that a manifest records for an engine.

A backend of modelport has its own in `backends/NAME/recorded_options.py`, apart from what builds
and runs: every manifest needs them. `native/bundle/src/option_schema.cpp` says the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

OptionCheck = Callable[[Any, Collection[str]], bool]
"""A check of a value, which may be the name of one of the engine's files."""
MAX_THREADS = 256


def one_of(*words: str) -> OptionCheck:
    """A check for one of some words."""
    return lambda value, files: isinstance(value, str) and value in words


def is_flag(value: Any, files: Collection[str]) -> bool:
    """Return True for True and False."""
    return isinstance(value, bool)


def is_threads(value: Any, files: Collection[str]) -> bool:
    """Return True for a number of threads."""
    return type(value) is int and 0 <= value <= MAX_THREADS


def is_file(value: Any, files: Collection[str]) -> bool:
    """Return True for one of the engine's files."""
    return isinstance(value, str) and value in files


def are_files(value: Any, files: Collection[str]) -> bool:
    """Return True for a list of the engine's files."""
    return isinstance(value, list) and all(is_file(item, files) for item in value)
