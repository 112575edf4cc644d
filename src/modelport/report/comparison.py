"""Page of a comparison: histograms of errors, and their positions in an output."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from modelport.arrays import Array
from modelport.numerics import HISTOGRAM_EDGES, ComparedCase, ComparedOutput, Measures
from modelport.report.html import environment

_CELL = 6
_FLOOR = 1e-12
"""Error below which a cell of the map has the palest colour."""


class Compared(Protocol):
    """Interface of a comparison; see `modelport.debug.Comparison`."""

    @property
    def reference(self) -> str:
        """Name of the reference."""

    @property
    def candidate(self) -> str:
        """Name of the model that is compared with the reference."""

    @property
    def cases(self) -> Sequence[ComparedCase]:
        """The cases."""

    @property
    def refused(self) -> Sequence[str]:
        """Drawn cases that the reference refused."""

    @property
    def seed(self) -> int:
        """Seed of the drawn cases."""

    @property
    def rerun(self) -> str:
        """The command that runs a failing case again."""

    @property
    def ok(self) -> bool:
        """True if every case agrees."""


@dataclass(frozen=True)
class Column:
    """One column of a histogram.

    Attributes:
        label: The power of ten, or what else it counts.
        share: Height, 0..100; a column that counts anything is at least visible.
        count: Elements.
    """

    label: str
    share: float
    count: int


@dataclass(frozen=True)
class Detail:
    """One output of one case, as it is drawn.

    Attributes:
        case: The case.
        output: The output.
        columns: The histogram of absolute errors.
        error_map: A PNG as a data URI; empty where nothing was measured.
        width: Pixels of the map.
        height: Likewise.
    """

    case: ComparedCase
    output: ComparedOutput
    columns: tuple[Column, ...]
    error_map: str
    width: int
    height: int


def render_comparison(comparison: Compared) -> str:
    """Renders a comparison.

    Args:
        comparison: What to tell.

    Returns:
        One HTML page without references to other files; its body is the section that tells of
        the comparison.
    """
    details = [
        _detail(case, output)
        for case in comparison.cases
        for output in case.outputs
        if output.measures is not None
    ]
    template = environment().get_template("comparison.html")
    return template.render(comparison=comparison, details=details)


def _detail(case: ComparedCase, output: ComparedOutput) -> Detail:
    measures = output.measures
    assert measures is not None
    source, width, height = _heat_map(measures.error_map)
    return Detail(case, output, _columns(measures), source, width, height)


def _columns(measures: Measures) -> tuple[Column, ...]:
    """Columns from the first to the last that is not empty, and the column of exact elements."""
    labels = ["0", *(f"1e{edge}" for edge in HISTOGRAM_EDGES)]
    counted = [index for index, count in enumerate(measures.histogram) if index and count]
    shown = [0, *range(min(counted, default=1), max(counted, default=0) + 1)]
    most = max(measures.histogram) or 1
    return tuple(
        Column(
            labels[index],
            max(100.0 * measures.histogram[index] / most, 2.0 if measures.histogram[index] else 0),
            measures.histogram[index],
        )
        for index in shown
    )


def _heat_map(errors: Array) -> tuple[str, int, int]:
    """Errors on a logarithmic scale, from pale to red; black for NaN or infinity."""
    from PIL import Image

    finite = np.where(np.isfinite(errors), errors, 0.0)
    top = max(float(finite.max()), 10 * _FLOOR)
    span = math.log(top / _FLOOR)
    heat = np.clip(np.log(np.maximum(finite, _FLOOR) / _FLOOR) / span, 0.0, 1.0)[..., None]
    pale, red = np.array([242.0, 244.0, 247.0]), np.array([196.0, 50.0, 10.0])
    colours = pale + (red - pale) * heat**3
    colours[~np.isfinite(errors)] = 0.0
    grown = colours.astype(np.uint8).repeat(_CELL, axis=0).repeat(_CELL, axis=1)
    buffer = io.BytesIO()
    Image.fromarray(grown).save(buffer, "PNG")
    source = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return source, grown.shape[1], grown.shape[0]
