"""The options that a manifest may record for an engine: types, ranges, and files by name.

An option never is a path. One that stands for a file equals one of the engine's files, which the
manifest lists with their digests. `native/bundle/src/option_schema.cpp` says the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from modelport.backends.adapters import ADAPTERS_OPTION

MAX_THREADS = 256
_WORD = re.compile(r"[A-Za-z0-9_-]{0,64}")
_SHAPES = re.compile(r"(trt|nv)_profile_(min|opt|max)_shapes")
_SETTING = re.compile(r"(trt|nv|cudnn)_[a-z0-9_]{1,64}")
_SETTING_VALUE = re.compile(r"[0-9]{1,18}|[Tt]rue|[Ff]alse")
_Check = Callable[[Any, Collection[str]], bool]


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
    schema = _SCHEMAS.get(backend)
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


def _one_of(*words: str) -> _Check:
    return lambda value, files: isinstance(value, str) and value in words


def _is_flag(value: Any, files: Collection[str]) -> bool:
    return isinstance(value, bool)


def _is_threads(value: Any, files: Collection[str]) -> bool:
    return type(value) is int and 0 <= value <= MAX_THREADS


def _is_file(value: Any, files: Collection[str]) -> bool:
    return isinstance(value, str) and value in files


def _are_files(value: Any, files: Collection[str]) -> bool:
    return isinstance(value, list) and all(_is_file(item, files) for item in value)


def _are_settings(value: Any, files: Collection[str]) -> bool:
    """Whether they are shapes of profiles, numbers and flags: others of providers are paths."""
    return isinstance(value, dict) and all(
        isinstance(item, str)
        and (
            _SHAPES.fullmatch(name) or (_SETTING.fullmatch(name) and _SETTING_VALUE.fullmatch(item))
        )
        for name, item in value.items()
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


_ENGINE: dict[str, _Check] = {
    "engine": _is_file,
    "record": _is_file,
    "plugins": _are_files,
    "kernels": _are_files,
}
_SCHEMAS: dict[str, dict[str, _Check]] = {
    "onnxruntime": {
        "graph_optimization": _one_of("none", "basic", "extended", "all"),
        "libraries": _are_files,
        "threads": _is_threads,
        "spinning": _is_flag,
        "provider_options": _are_settings,
    },
    "openvino": {"hint": _one_of("latency", "throughput"), "threads": _is_threads},
    "torch": {"channels_last": _is_flag, "freezing": _is_flag, "threads": _is_threads},
    "tensorrt": _ENGINE,
    "tensorrt-rtx": _ENGINE,
}
