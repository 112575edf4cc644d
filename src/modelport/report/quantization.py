"""Page of a quantization: accuracy against speed, and the operators in float32."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelport.report.html import environment

if TYPE_CHECKING:
    from modelport.precision import Quantization

_LEFT, _RIGHT, _TOP, _BOTTOM = 60.0, 620.0, 20.0, 250.0
_FLOOR = 1e-7
"""Drop at the bottom of the plot."""


@dataclass(frozen=True)
class Dot:
    """A point of the plot.

    Attributes:
        x: Pixels from the left.
        y: Pixels from the top.
        label: Text beside the point.
        title: What is shown when it is pointed at.
        chosen: Whether it is the one that was chosen.
    """

    x: float
    y: float
    label: str
    title: str
    chosen: bool


@dataclass(frozen=True)
class Tick:
    """A label of an axis.

    Attributes:
        x: Pixels from the left.
        y: Pixels from the top.
        label: The text.
        anchor: Which end of the text is at x.
    """

    x: float
    y: float
    label: str
    anchor: str


def render_quantization(source: str, result: Quantization) -> str:
    """Renders the page.

    Args:
        source: What was quantized.
        result: Result of `modelport.quantize`.

    Returns:
        HTML, whole in itself.
    """
    speeds = [point.original_milliseconds / point.milliseconds for point in result.points]
    fastest = max([1.0, *speeds]) * 1.1
    drops = [point.drop for point in result.points]
    ends = _decades([*drops, result.max_drop])
    dots = [
        Dot(
            x=_across(speed, fastest),
            y=_down(point.drop, ends),
            label=str(point.kept),
            title=f"{point.kept} in float32: drop {point.drop:.3g}, {speed:.2f} times as fast",
            chosen=point.kept == len(result.kept),
        )
        for point, speed in zip(result.points, speeds, strict=True)
    ]
    return (
        environment()
        .get_template("quantization.html")
        .render(
            source=source,
            result=result,
            dots=dots,
            ticks=_ticks(fastest, ends),
            bound=_down(result.max_drop, ends),
            worst=max(result.sensitivity.values(), default=0.0),
        )
    )


def _decades(drops: list[float]) -> tuple[int, int]:
    """Powers of ten around all drops."""
    logs = [math.log10(max(drop, _FLOOR)) for drop in drops]
    low, high = math.floor(min(logs)), math.ceil(max(logs))
    return low, max(high, low + 1)


def _across(speed: float, fastest: float) -> float:
    return round(_LEFT + (_RIGHT - _LEFT) * speed / fastest, 1)


def _down(drop: float, ends: tuple[int, int]) -> float:
    low, high = ends
    share = (math.log10(max(drop, _FLOOR)) - low) / (high - low)
    return round(_BOTTOM - (_BOTTOM - _TOP) * min(max(share, 0.0), 1.0), 1)


def _ticks(fastest: float, ends: tuple[int, int]) -> list[Tick]:
    step = max(0.5, round(fastest / 6, 0) or 0.5)
    speeds = [step * index for index in range(int(fastest / step) + 1)]
    across = [
        Tick(_across(speed, fastest), _BOTTOM + 18, f"{speed:g}", "middle") for speed in speeds
    ]
    powers = range(ends[0], ends[1] + 1)
    down = [Tick(_LEFT - 6, _down(10.0**power, ends) + 4, f"1e{power}", "end") for power in powers]
    return across + down
