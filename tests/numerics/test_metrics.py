from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modelport.numerics import metrics

VECTORS = hnp.arrays(np.float64, st.integers(1, 20), elements=st.floats(-1e6, 1e6))


@given(VECTORS)
def test_rms_follows_its_formula(array: np.ndarray) -> None:
    wanted = math.sqrt(math.fsum(value * value for value in array.tolist()) / array.size)
    assert metrics.rms(array) == pytest.approx(wanted, rel=1e-12)


def test_rms_leaves_out_what_is_not_finite() -> None:
    assert metrics.rms(np.array([3.0, np.nan, np.inf, -3.0])) == 3.0
    assert metrics.rms(np.array([np.nan])) == 0.0
    assert metrics.rms(np.zeros((0, 4))) == 0.0


@given(VECTORS, st.floats(0.1, 10))
def test_cosine_of_multiples_is_one(array: np.ndarray, factor: float) -> None:
    array = np.append(array, 1.0)
    assert metrics.cosine(array, array * factor) == pytest.approx(1.0)
    assert metrics.cosine(array, -array * factor) == pytest.approx(-1.0)


def test_cosine_follows_its_formula() -> None:
    first, second = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[2.0, 0.0], [1.0, 1.0]])
    wanted = (2 + 3 + 4) / math.sqrt(30 * 6)
    assert metrics.cosine(first, second) == pytest.approx(wanted, rel=1e-15)
    assert metrics.cosine(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 0.0


def test_cosine_with_zero() -> None:
    assert metrics.cosine(np.zeros(3), np.zeros(3)) == 1.0
    assert metrics.cosine(np.zeros(3), np.ones(3)) == 0.0


def test_psnr_follows_its_formula() -> None:
    expected = np.zeros((4, 4), np.uint8)
    actual = np.full((4, 4), 5, np.uint8)
    assert metrics.psnr(expected, actual, 255.0) == pytest.approx(20 * math.log10(255 / 5))
    # Bytes must not wrap around.
    assert metrics.psnr(actual, expected, 255.0) == metrics.psnr(expected, actual, 255.0)
    assert metrics.psnr(expected, expected, 255.0) == math.inf


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_ulps_count_the_floats_between(dtype: type) -> None:
    start = np.array([1.0, -1.0, 0.0, 3.5, -2.0], dtype)
    there = start.copy()
    for steps in range(1, 5):
        there = np.nextafter(there, np.array(np.inf, dtype))
        np.testing.assert_array_equal(metrics.ulps(start, there), np.full(5, steps))
        np.testing.assert_array_equal(metrics.ulps(there, start), np.full(5, steps))


def test_ulps_at_the_edges() -> None:
    first = np.array([0.0, np.nan, np.nan, np.inf, -1.0], np.float32)
    second = np.array([-0.0, np.nan, 1.0, np.finfo(np.float32).max, 1.0], np.float32)
    found = metrics.ulps(first, second)
    assert found.tolist() == [0.0, 0.0, np.inf, 1.0, 2.0 * int(np.float32(1).view(np.int32))]


def test_ulps_of_the_largest_doubles_do_not_wrap_around() -> None:
    high = np.array([np.finfo(np.float64).max])
    wanted = 2 * int(high.view(np.int64)[0])
    assert metrics.ulps(high, -high)[0] == pytest.approx(wanted, rel=1e-12)


def test_snr_follows_its_formula() -> None:
    expected, actual = np.array([3.0, 4.0]), np.array([3.0, 4.5])
    assert metrics.snr(expected, actual) == pytest.approx(10 * math.log10(25 / 0.25))
    assert metrics.snr(expected, expected) == math.inf
    assert metrics.snr(np.zeros(2), expected) == -math.inf


def test_top_k_agreement_counts_what_both_have() -> None:
    expected = np.array([[0.1, 0.9, 0.5, 0.3], [0.4, 0.3, 0.2, 0.1]])
    actual = np.array([[0.1, 0.5, 0.9, 0.3], [0.4, 0.1, 0.2, 0.3]])
    assert metrics.top_k_agreement(expected, actual, 1) == 0.5
    assert metrics.top_k_agreement(expected, actual, 2) == 0.75
    assert metrics.top_k_agreement(expected, actual, 3) == pytest.approx((3 + 2) / 6)


@pytest.mark.parametrize("scale", [1e-300, 1e155, 1e300])
def test_no_square_overflows_or_vanishes(scale: float) -> None:
    array = np.array([3.0, -4.0, 0.0, 12.0])
    assert metrics.rms(array * scale) == pytest.approx(6.5 * scale, rel=1e-12)
    assert metrics.cosine(array * scale, array[::-1] * scale) == pytest.approx(
        float(array @ array[::-1]) / 169.0
    )
    assert metrics.psnr(array * scale, np.zeros(4), 6.5 * scale) == pytest.approx(0.0, abs=1e-9)
