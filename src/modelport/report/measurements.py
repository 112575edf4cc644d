"""The page about measurements: a table, and a chart of times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from modelport.report.html import environment

_WIDTH, _HEIGHT = 640.0, 300.0
_LEFT, _BOTTOM = 70.0, 40.0
_COLOURS = ("#4e7ad2", "#c4320a", "#12805c", "#b54708", "#6941c6", "#0e7090", "#98a2b3", "#1d2530")


@dataclass(frozen=True)
class Point:
    """A measurement.

    Attributes:
        x: Position on the x axis.
        y: The figure, above 0.
        low: Lower end of its confidence interval.
        high: Upper end.
    """

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class Series:
    """Measurements that belong together; several are joined by a line.

    Attributes:
        name: What was measured.
        points: The measurements.
    """

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Page:
    """Data of a page about measurements.

    Attributes:
        title: Its title.
        verdict: The result, in a sentence.
        notes: Further sentences.
        heads: Heads of the table's columns.
        rows: The table.
        series: What the chart shows.
        axes: What lies on the chart's axes, x first; y is logarithmic.
    """

    title: str
    verdict: str
    notes: Sequence[str]
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    series: Sequence[Series]
    axes: tuple[str, str]


@dataclass(frozen=True)
class _Drawn:
    """A series in the coordinates of the picture."""

    name: str
    colour: str
    line: str
    boxes: tuple[tuple[float, float, float, float], ...]


def render_measurements(page: Page) -> str:
    """Renders the page.

    Args:
        page: What to tell.

    Returns:
        HTML without references to other files.
    """
    scale = _Scale([point for series in page.series for point in series.points])
    drawn = [
        _draw(series, _COLOURS[index % len(_COLOURS)], scale)
        for index, series in enumerate(page.series)
    ]
    return (
        environment()
        .get_template("measurements.html")
        .render(
            page=page,
            drawn=drawn,
            width=_WIDTH,
            height=_HEIGHT,
            left=_LEFT,
            bottom=_HEIGHT - _BOTTOM,
            x_marks=scale.x_marks(),
            y_marks=scale.y_marks(),
        )
    )


class _Scale:
    """Converts figures to coordinates of the picture."""

    def __init__(self, points: Sequence[Point]) -> None:
        self._xs = sorted({point.x for point in points}) or [0.0]
        ends = [end for point in points for end in (point.low, point.high) if end > 0] or [1.0]
        self._low, self._high = math.log10(min(ends)) - 0.05, math.log10(max(ends)) + 0.05

    def x(self, value: float) -> float:
        span = self._xs[-1] - self._xs[0]
        share = 0.5 if span == 0 else (value - self._xs[0]) / span
        return _LEFT + (0.05 + 0.9 * share) * (_WIDTH - _LEFT)

    def y(self, value: float) -> float:
        share = (math.log10(value) - self._low) / (self._high - self._low)
        return (_HEIGHT - _BOTTOM) * (1.0 - share)

    def x_marks(self) -> list[tuple[float, str]]:
        shown = self._xs if len(self._xs) <= 8 else [self._xs[0], self._xs[-1]]
        return [(self.x(value), f"{value:.4g}") for value in shown]

    def y_marks(self) -> list[tuple[float, str]]:
        decades = range(math.floor(self._low), math.ceil(self._high) + 1)
        values = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
        inside = [value for value in values if self._low <= math.log10(value) <= self._high]
        return [(self.y(value), f"{value:.3g}") for value in inside]


def _draw(series: Series, colour: str, scale: _Scale) -> _Drawn:
    boxes = tuple(
        (scale.x(point.x), scale.y(point.y), scale.y(point.low), scale.y(point.high))
        for point in series.points
    )
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in boxes)
    return _Drawn(series.name, colour, line, boxes)
