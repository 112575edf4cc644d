from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport.numerics import OutputComparison, Tolerance, compare_outputs, tolerance_for


def compare(expected: Any, actual: Any, tolerance: Tolerance | None = None) -> OutputComparison:
    bounds = tolerance_for if tolerance is None else (lambda _: tolerance)
    (result,) = compare_outputs({"y": np.asarray(expected)}, {"y": np.asarray(actual)}, bounds)
    return result


@given(st.integers(0, 2**32), st.lists(st.integers(0, 5), max_size=3).map(tuple))
def test_equal_arrays_agree_with_no_error(seed: int, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    result = compare(array, array.copy())
    assert result.ok
    assert (result.max_abs, result.max_rel, result.rms_rel) == (0.0, 0.0, 0.0)
    assert result.cosine == pytest.approx(1.0)


def test_figures_follow_their_formulas() -> None:
    expected = np.array([[3.0, -4.0], [0.0, 5.0]])
    actual = np.array([[3.1, -4.0], [0.5, 4.0]])
    result = compare(expected, actual)
    scale = np.sqrt((9 + 16 + 25) / 4)
    relative = np.array([[0.1 / (3 + scale), 0.0], [0.5 / scale, 1 / (5 + scale)]])
    assert result.max_abs == pytest.approx(1.0)
    assert result.max_rel == pytest.approx(relative.max())
    assert result.rms_rel == pytest.approx(np.sqrt((0.01 + 0.25 + 1.0) / 4) / scale)
    assert result.cosine == pytest.approx((9.3 + 16 + 20) / np.sqrt(50 * (9.61 + 16 + 0.25 + 16)))
    assert result.worst == (1, 0)
    assert (result.expected, result.actual) == (0.0, 0.5)
    assert not result.ok


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_rounding_of_the_dtype_agrees(dtype: str) -> None:
    rng = np.random.default_rng(0)
    exact = rng.standard_normal((50, 20))
    rounded = exact.astype(dtype)
    noisy = (exact * (1 + rng.uniform(-8, 8, exact.shape) * np.finfo(dtype).eps)).astype(dtype)
    assert compare(rounded, noisy).ok


def test_element_that_cancels_to_almost_nothing_may_carry_the_others_rounding() -> None:
    expected = np.array([1000.0, 1e-9], np.float32)
    assert compare(expected, np.array([1000.0, 5e-5], np.float32)).ok


def test_one_wrong_element_among_many_is_found() -> None:
    expected = np.random.default_rng(0).standard_normal((100, 100)).astype(np.float32)
    actual = expected.copy()
    actual[37, 59] += 0.01
    result = compare(expected, actual)
    assert not result.ok
    assert result.worst == (37, 59)
    assert "worst at [37, 59]" in str(result)


def test_error_everywhere_is_found_where_no_element_stands_out() -> None:
    expected = np.random.default_rng(0).standard_normal(10_000).astype(np.float32)
    result = compare(expected, expected * np.float32(1.0005))
    assert result.max_rel < result.max_rel_allowed
    assert not result.ok


def test_zeros_against_anything_else_differ() -> None:
    assert compare(np.zeros(3, np.float32), np.zeros(3, np.float32)).ok
    result = compare(np.zeros(3, np.float32), np.array([0, 1e-30, 0], np.float32))
    assert not result.ok
    assert result.worst == (1,)


def test_missing_output_is_not_ok() -> None:
    results = compare_outputs({"a": np.ones(1), "b": np.ones(1)}, {"a": np.ones(1)}, tolerance_for)
    assert [result.ok for result in results] == [True, False]
    assert str(results[1]) == "output 'b': missing"


def test_output_beyond_those_expected_is_no_matter() -> None:
    assert [result.output for result in compare_outputs({}, {"a": np.ones(1)}, tolerance_for)] == []


def test_wrong_shape_is_told_even_where_it_broadcasts() -> None:
    result = compare(np.ones((2, 1), np.float32), np.ones((2, 3), np.float32))
    assert not result.ok
    assert result.reason == "shape [2, 3], expected [2, 1]"


def test_wrong_dtype_is_told_even_with_equal_values() -> None:
    result = compare(np.ones(3, np.float32), np.ones(3, np.float64))
    assert not result.ok
    assert result.reason == "dtype float64, expected float32"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_in_one_alone_differs(value: float) -> None:
    good, bad = np.ones((2, 2), np.float32), np.ones((2, 2), np.float32)
    bad[1, 0] = value
    for expected, actual in ((good, bad), (bad, good)):
        result = compare(expected, actual)
        assert not result.ok
        assert result.worst == (1, 0)
        assert "first at [1, 0]" in result.reason


def test_same_special_values_agree() -> None:
    array = np.array([np.nan, np.inf, -np.inf, 1.0], np.float32)
    assert compare(array, array.copy()).ok
    assert not compare(array, np.array([np.nan, -np.inf, -np.inf, 1.0], np.float32)).ok


def test_integers_must_be_equal() -> None:
    assert compare(np.array([1, 2]), np.array([1, 2])).ok
    result = compare(np.array([1, 1000]), np.array([1, 1001]))
    assert not result.ok
    assert result.worst == (1,)


def test_integers_that_float64_cannot_tell_apart_differ() -> None:
    assert not compare(np.array([2**53]), np.array([2**53 + 1])).ok


def test_booleans_and_strings_must_be_equal() -> None:
    assert compare(np.array([True, False]), np.array([True, False])).ok
    assert not compare(np.array([True, False]), np.array([True, True])).ok
    assert compare(np.array(["a", "b"]), np.array(["a", "b"])).ok
    assert compare(np.array(["a"]), np.array(["b"])).reason == "strings differ"


def test_complex_arrays_are_compared() -> None:
    exact = Tolerance(0.0, 0.0, "exact")
    expected = np.array([1 + 1j, 2 - 2j], np.complex64)
    assert compare(expected, expected.copy(), exact).ok
    result = compare(expected, np.array([1 + 1j, 2 + 2j], np.complex64), exact)
    assert not result.ok
    assert result.worst[0] == 1
    assert result.max_abs == pytest.approx(4.0)


def test_bfloat16_is_compared() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    expected = np.linspace(-1, 1, 9).astype(ml_dtypes.bfloat16)
    assert compare(expected, expected.copy()).ok
    assert not compare(expected, -expected).ok


def test_empty_arrays_agree() -> None:
    assert compare(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32)).ok


def test_precision_of_the_target_widens_the_bounds() -> None:
    expected = np.random.default_rng(0).standard_normal(100).astype(np.float32)
    actual = {"y": expected.astype(np.float16).astype(np.float32)}
    for precision, ok in (("fp32", False), ("fp16", True)):
        bounds = functools.partial(tolerance_for, precision=precision)
        assert compare_outputs({"y": expected}, actual, bounds)[0].ok is ok


def judged(
    expected: object, actual: object, scale: float = 0.0, exact: object = None
) -> OutputComparison:
    (result,) = compare_outputs(
        {"y": np.asarray(expected, np.float32)},
        {"y": np.asarray(actual, np.float32)},
        tolerance_for,
        scales={"y": scale},
        exact=None if exact is None else {"y": np.asarray(exact, np.float64)},
    )
    return result


@pytest.mark.parametrize(
    ("expected", "actual", "scale"),
    [
        # A probability of a sigmoid that a runtime cuts off at 1.5e-8.
        ([3e-9], [1.5e-8], 0.5),
        # -log(1 + exp(-20)), which is 0 in float32 where exp(-20) is added to 1.
        ([-2.06e-9], [0.0], 1.0),
        # What cancels to nothing beside values of 1.
        ([[1e-7], [-3e-8]], [[0.0], [2e-8]], 1.0),
    ],
)
def test_output_that_is_small_in_one_case_has_the_scale_of_the_others(
    expected: object, actual: object, scale: float
) -> None:
    assert judged(expected, actual, scale).ok
    assert not judged(expected, actual, scale=0.0).ok
    assert not judged(expected, np.add(actual, 0.01 * scale), scale).ok


def test_denormal_numbers_may_be_flushed_to_zero() -> None:
    assert judged([1e-40, 3e-39], [0.0, 0.0]).ok
    assert not judged([1e-37, 3e-37], [0.0, 0.0]).ok


def test_error_of_a_few_times_the_references_own_is_allowed() -> None:
    exact = np.linspace(1, 2, 100)
    reference = exact * (1 + 1e-3 * np.sin(np.arange(100)))
    assert not judged(reference, reference * (1 + 3e-3)).ok
    assert judged(reference, reference * (1 + 1e-3), exact=exact).ok
    assert not judged(reference, reference * (1 + 2e-2), exact=exact).ok
    assert not judged(reference, reference * (1 + 3e-3), exact=reference).ok


def test_reference_that_rounding_alone_moves_far_is_no_evidence() -> None:
    exact = np.linspace(1, 2, 100)
    reference = exact * (1 + 0.1 * np.sin(np.arange(100)))
    result = judged(reference, reference * 1.05, exact=exact)
    assert result.no_evidence
    assert not result.ok
    assert 0.05 < result.rounding < 0.1


def test_integers_have_no_rounding() -> None:
    expected, actual = {"y": np.arange(5)}, {"y": np.arange(5) + 1}
    (result,) = compare_outputs(expected, actual, tolerance_for, exact={"y": np.arange(5) + 9})
    assert not result.ok
    assert not result.no_evidence


@pytest.mark.parametrize(("count", "by", "ok"), [(10, 1, True), (11, 1, False), (1, 2, False)])
def test_hundredth_of_the_bytes_may_be_off_by_a_level(count: int, by: int, ok: bool) -> None:
    expected = np.random.default_rng(0).integers(0, 250, 1000).astype(np.uint8)
    actual = expected.copy()
    actual[:count] += by
    (result,) = compare_outputs({"y": expected}, {"y": actual}, tolerance_for)
    assert result.ok is ok
