from __future__ import annotations

import base64
import io
import re

import numpy as np
from PIL import Image

from modelport import Comparison, compare
from modelport.numerics import Case, ComparedCase, Judge, tolerance_for
from modelport.report import render_comparison
from tests.report.test_html import HOSTILE, parse


def comparison(expected: np.ndarray, actual: np.ndarray, name: str = "y") -> Comparison:
    judge = Judge(tolerance_for, {"far": lambda a, b: False})
    outputs = judge({name: expected}, {name: actual})
    case = ComparedCase(Case("drawn-0", {"x": expected}, HOSTILE), outputs)
    return Comparison("A", "B", (case,), ("drawn-1: too large",), 0, "modelport compare A B", {})


def test_the_histogram_counts_every_element() -> None:
    expected = np.ones((8, 8), np.float32)
    actual = expected.copy()
    actual[0, :3] += 0.01
    page = render_comparison(comparison(expected, actual))
    counts = [int(count) for count in re.findall(r'title="(\d+) elements"', page)]
    assert sum(counts) == 64
    assert counts[0] == 61


def test_the_map_is_red_where_the_error_is() -> None:
    expected = np.zeros((1, 2, 16, 16), np.float32)
    actual = expected.copy()
    actual[0, 1, 4, 9] = 1.0
    actual[0, 0, 2, 2] = np.nan
    page = render_comparison(comparison(expected, actual))
    (source,) = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(source))))
    cell = picture.shape[0] // 16
    cells = picture[cell // 2 :: cell, cell // 2 :: cell].astype(int)
    assert np.argwhere(cells[..., 0] - cells[..., 2] > 100).tolist() == [[4, 9]]
    assert np.argwhere(cells.sum(-1) == 0).tolist() == [[2, 2]]
    assert "the first index is [0, 0, 2, 2]" in page


def test_names_cannot_break_out_of_the_page() -> None:
    page = render_comparison(comparison(np.ones(3), np.zeros(3), HOSTILE))
    assert "script" not in parse(page).tags
    assert "far: False" in page
    assert "too large" in page


def test_a_real_comparison_is_rendered(onnx_file: object) -> None:
    page = render_comparison(compare(onnx_file, cases=1))  # type: ignore[arg-type]
    assert "They agree on 1 cases" in page
    assert all(link.startswith("data:") for link in parse(page).links)
