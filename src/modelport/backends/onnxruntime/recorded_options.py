"""Checks of the options that a manifest records; see `modelport.backends.recorded_options`."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from modelport.backends.recorded_options import OptionCheck, are_files, is_flag, is_threads, one_of

_SHAPES = re.compile(r"(trt|nv)_profile_(min|opt|max)_shapes")
_SETTING = re.compile(r"(trt|nv|cudnn)_[a-z0-9_]{1,64}")
_SETTING_VALUE = re.compile(r"[0-9]{1,18}|[Tt]rue|[Ff]alse")


def _are_settings(value: Any, files: Collection[str]) -> bool:
    """Whether they are shapes of profiles, numbers and flags: others of providers are paths."""
    return isinstance(value, dict) and all(
        isinstance(item, str)
        and (
            _SHAPES.fullmatch(name) or (_SETTING.fullmatch(name) and _SETTING_VALUE.fullmatch(item))
        )
        for name, item in value.items()
    )


RECORDED: dict[str, OptionCheck] = {
    "graph_optimization": one_of("none", "basic", "extended", "all"),
    "libraries": are_files,
    "threads": is_threads,
    "spinning": is_flag,
    "provider_options": _are_settings,
}
