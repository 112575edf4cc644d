"""The options that a manifest may record for an engine: types, ranges, and files by name.

An option never is a path. One that stands for a file equals one of the engine's files, which the
manifest lists with their digests. `native/bundle/src/option_schema.cpp` says the same.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from modelport.backends.adapters import ADAPTERS_OPTION
from modelport.backends.registry import recorded_options

_WORD = re.compile(r"[A-Za-z0-9_-]{0,64}")


def require_options(backend: str, options: Mapping[str, Any], files: Collection[str]) -> None:
    """Checks the options of an engine.

    Args:
        backend: The engine's backend.
        options: Its options.
        files: The files that it names, as a set.

    Raises:
        ValueError: An option is unknown, of another type or out of range, or names a file that is
            not one of the engine's.
    """
    schema = recorded_options(backend)
    for name, value in options.items():
        if name == ADAPTERS_OPTION:
            valid = _is_adapters(value)
        elif schema is None:
            valid = _is_plain(value, files)
        elif name not in schema:
            raise ValueError(f"the {backend} backend has no option {name!r:.60}")
        else:
            valid = schema[name](value, files)
        if not valid:
            raise ValueError(
                f"the option {name!r:.60} is {value!r:.60}, which is no value of it, "
                "or a path that is not one of its files"
            )


def _is_adapters(value: Any) -> bool:
    """Whether they are flat objects; `adapters_from_json` reads their fields."""
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _is_plain(value: Any, files: Collection[str]) -> bool:
    """Whether an option of a backend that is not known here has numbers, words and files alone."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, dict):
            left += item.values()
        elif isinstance(item, list):
            left += item
        elif isinstance(item, str) and not _WORD.fullmatch(item) and item not in files:
            return False
    return True
