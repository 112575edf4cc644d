"""The lines of a benchmark's result; timings are those of `modelport.tuning`."""

from __future__ import annotations

from dataclasses import dataclass

from modelport.tuning import Timing, interleave

__all__ = ["Row", "Timing", "interleave"]


@dataclass(frozen=True)
class Row:
    """One line of a benchmark's result.

    Attributes:
        what: What was measured.
        figure: The figure, as text with its unit.
        target: The bound, as text; empty where there is none.
        ok: Whether the figure is within the bound.
    """

    what: str
    figure: str
    target: str = ""
    ok: bool = True
