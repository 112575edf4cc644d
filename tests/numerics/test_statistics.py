from __future__ import annotations

import json
import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modelport.numerics import HISTOGRAM_EDGES, measure

ANY = hnp.arrays(
    st.sampled_from([np.float16, np.float32, np.float64, np.int32, np.uint8, np.bool_]),
    hnp.array_shapes(max_dims=4, max_side=5),
)


@given(ANY)
def test_an_array_does_not_differ_from_itself(array: np.ndarray) -> None:
    found = measure(array, array.copy())
    assert found is not None
    assert found.absolute.max == found.relative.max == 0.0
    assert found.cosine == pytest.approx(1.0)
    assert found.first_odd is None
    assert set(found.top_k.values()) <= {1.0}
    # What is not finite is no error, and not counted as exact either.
    finite = int(np.isfinite(array.astype(np.float64)).sum())
    assert found.histogram == (finite, *[0] * len(HISTOGRAM_EDGES))


@given(ANY, ANY)
def test_json_is_json(first: np.ndarray, second: np.ndarray) -> None:
    found = measure(first, np.resize(second, first.shape).astype(first.dtype))
    assert found is not None
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert sum(found.histogram) <= first.size


def test_figures_follow_their_definitions() -> None:
    expected = np.array([[1.0, -2.0, 4.0, 0.0]], np.float32)
    actual = np.array([[1.5, -2.0, 4.0, 0.25]], np.float32)
    found = measure(expected, actual)
    assert found is not None
    rms = math.sqrt(21 / 4)
    assert found.absolute.max == 0.5
    assert found.absolute.mean == 0.1875
    assert found.absolute.percentiles == {50: 0.25, 95: 0.5, 99: 0.5}
    assert found.relative.max == pytest.approx(0.5 / (1 + rms))
    assert found.psnr == pytest.approx(10 * math.log10(36 / (0.3125 / 4)))
    assert found.snr == pytest.approx(10 * math.log10(21 / 0.3125))
    # Two are exact; 0.25 and 0.5 lie between a tenth and one.
    assert found.histogram[0] == 2
    assert found.histogram[1 + HISTOGRAM_EDGES.index(-1)] == 2


def test_the_first_odd_place_is_named() -> None:
    expected = np.array([[1.0, np.nan], [np.inf, 2.0]], np.float32)
    actual = np.array([[1.0, np.nan], [5.0, np.nan]], np.float32)
    found = measure(expected, actual)
    assert found is not None
    assert found.first_odd == (1, 0)
    assert found.nan == (1, 2)
    assert found.infinite == (1, 0)
    assert np.isinf(found.error_map).tolist() == [[False, False], [True, True]]


def test_the_map_keeps_the_largest_error_of_every_block() -> None:
    expected = np.zeros((2, 3, 200, 130), np.float32)
    actual = expected.copy()
    actual[1, 2, 199, 3] = 7.0
    found = measure(expected, actual)
    assert found is not None
    assert max(found.error_map.shape) <= 64
    assert np.argwhere(found.error_map).tolist() == [[found.error_map.shape[0] - 1, 1]]
    assert found.error_map.max() == 7.0


def test_bfloat16_and_complex_are_measured() -> None:
    half = np.array([1.0, 2.0], ml_dtypes.bfloat16)
    found = measure(half, np.array([1.0, 2.015625], ml_dtypes.bfloat16))
    assert found is not None
    assert found.ulp is not None
    assert found.ulp.max == 1.0
    turned = measure(np.array([1 + 1j]), np.array([1 - 1j]))
    assert turned is not None
    assert turned.absolute.max == 2.0


def test_what_cannot_be_measured_is_none() -> None:
    assert measure(np.array(["a"]), np.array(["a"])) is None
    assert measure(np.zeros(3), np.zeros(4)) is None
    assert measure(np.zeros((0, 2)), np.zeros((0, 2))) is None
