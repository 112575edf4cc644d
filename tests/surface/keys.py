"""The keys of JSON, as paths."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_MAPS = re.compile(
    "|".join(
        [
            r".*\b(dimensions|dims|shapes|opsets|versions|usual_sizes|top_k|registered)",
            r".*\b(capabilities|precisions|tunable|types|evidence|sizes)",
            r".*\bstages\[\]\.inputs",
            r"(compile) profiles\[\]",
            r"(compare|bench|bisect|bisect --reduce|deploy|quantize|tune) seconds",
            r"(deploy|manifest|bundle info).* ?verification",
            r"(manifest|bundle info) (.*\.)?outputs",
            r"(verify|bundle add) targets",
            r"manifest files",
            r"run outputs",
            r"tune candidates\[\]\.options",
            r"graph inspect operators(\.\*)?",
            r"graph simplify operators\.(before|after)",
        ]
    )
)
"""Objects whose keys are names of something: of dimensions, targets, stages and the like."""


def paths(source: str, data: Any, path: str = "") -> Iterator[str]:
    """The paths of all keys in JSON, ``[]`` for a list's elements and ``*`` for names.

    Args:
        source: Where the JSON comes from; it stands before every path.
        data: The JSON.
        path: Where the data lie in it.
    """
    here = f"{source} {path}"
    if isinstance(data, list):
        for item in data:
            yield from paths(source, item, f"{path}[]")
    elif isinstance(data, dict):
        is_map = _MAPS.fullmatch(here) is not None
        for key, value in data.items():
            name = "*" if is_map else key
            inner = f"{path}.{name}" if path else name
            yield f"{source} {inner}"
            yield from paths(source, value, inner)
