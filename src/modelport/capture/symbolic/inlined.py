"""Finds Functions whose forward was exported in place of their symbolic."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any

_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')


def find_inlined(program: Any, classes: Iterable[type]) -> set[type]:
    """Finds classes whose forward appears in an exported program.

    PyTorch keeps for every node where in the source it comes from. Where control flow is
    captured, this is the only trace that a Function leaves.

    Args:
        program: What torch.onnx.export returned.
        classes: Function classes with `symbolic`.

    Returns:
        Those of the classes from whose forward a node comes.
    """
    spans = {cls: span for cls in classes if (span := _span(cls)) is not None}
    if not spans:
        return set()
    places = set(_places(program.exported_program.graph_module))
    return {
        cls
        for cls, (file, first, last) in spans.items()
        if any(place == file and first <= line <= last for place, line in places)
    }


def _span(cls: Any) -> tuple[str, int, int] | None:
    try:
        lines, first = inspect.getsourcelines(cls.forward)
        file = inspect.getsourcefile(cls.forward)
    except (OSError, TypeError):
        return None
    return None if file is None else (file, first, first + len(lines) - 1)


def _places(module: Any) -> Iterator[tuple[str, int]]:
    for part in module.modules():
        for node in getattr(getattr(part, "graph", None), "nodes", ()):
            for frame in _FRAME.finditer(node.meta.get("stack_trace") or ""):
                yield frame["file"], int(frame["line"])
