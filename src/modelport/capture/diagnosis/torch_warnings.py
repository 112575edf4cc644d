"""Warnings that torch gives while capturing, as findings."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from modelport.capture.diagnosis.loops import KEEP_LOOP
from modelport.findings import Finding, Severity

if TYPE_CHECKING:
    from modelport.capture.strategies import Heard

_ITERATING = "Iterating over a tensor"
_ADVICE = {
    "boolean": "the branch taken for the example is taken for ever: use torch.where or torch.cond",
    "index": "use tensor indexing, or torch.while_loop for a loop",
    "Python integer": "int() is right around sizes that never change, and only there: compute with "
    "tensors, or capture by dynamo or script",
    "NumPy": "stay with torch operations",
}


def findings_of_warnings(heard: Sequence[Heard]) -> list[tuple[Finding, bool]]:
    """The warnings that say that a tensor's value left the graph.

    Args:
        heard: Everything warned of while capturing.

    Returns:
        A finding a place, and whether the user's own code did it (torch's modules convert sizes
        where that is right), except inside of a Function's ``forward`` whose ``symbolic`` is what
        is exported.
    """
    replaced = list(_symbolic_forwards())
    places: dict[tuple[str, str], list[Heard]] = defaultdict(list)
    for warning in heard:
        if warning.category != "TracerWarning":
            continue
        file, _, line = warning.place.rpartition(":")
        if any(file == other and first <= int(line) <= last for other, first, last in replaced):
            continue
        loop = "loop" if warning.message.startswith(_ITERATING) else ""
        places[warning.place, loop].append(warning)
    return [
        (_finding([item.message for item in warnings], place), any(w.is_users for w in warnings))
        for (place, _), warnings in places.items()
    ]


def _finding(messages: Sequence[str], place: str) -> Finding:
    if messages[0].startswith(_ITERATING):
        return Finding(
            "loop-unrolled",
            Severity.WARNING,
            "a loop over a tensor was unrolled as many times as its example has elements",
            where=place,
            fix=KEEP_LOOP,
        )
    said = list(dict.fromkeys(re.split(r"\. |, but", text)[0].strip() for text in messages))
    advice = [
        text for key, text in _ADVICE.items() if any(key.lower() in item.lower() for item in said)
    ]
    return Finding(
        "value-baked",
        Severity.WARNING,
        f"a value left the graph while tracing ({'; '.join(said)})",
        where=place,
        fix="; ".join(advice) or "compute with tensors here, or capture by dynamo or script",
    )


def _symbolic_forwards() -> Iterator[tuple[str, int, int]]:
    """``(file, first line, last line)`` of the forwards that a symbolic function replaces."""
    import torch

    classes = list(torch.autograd.Function.__subclasses__())
    while classes:
        cls = classes.pop()
        classes += cls.__subclasses__()
        code = getattr(cls.forward, "__code__", None)
        if code is None or not hasattr(cls, "symbolic"):
            continue
        lines = [line for _, _, line in code.co_lines() if line is not None]
        yield code.co_filename, code.co_firstlineno, max(lines, default=code.co_firstlineno)
