from __future__ import annotations

import numpy as np
import pytest

from modelport.numerics import compare_outputs, node_tolerance_for, tolerance_for

FLOATS = ("float64", "float32", "float16", "bfloat16")


@pytest.mark.parametrize("dtype", ["int64", "int8", "bool", "str"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_what_is_no_float_must_be_equal(dtype: str, precision: str) -> None:
    tolerance = tolerance_for(dtype, precision)
    assert (tolerance.overall, tolerance.element) == (0.0, 0.0)


def test_few_bytes_may_be_off_by_a_level() -> None:
    rng = np.random.default_rng(0)
    expected = rng.integers(0, 200, (50, 60, 3)).astype(np.uint8)
    few, many = (expected + (rng.random(expected.shape) < share) for share in (0.005, 0.05))
    far = expected.copy()
    far[3, 4, 1] += 50

    def agrees(actual: np.ndarray) -> bool:
        arrays = {"x": expected}, {"x": actual.astype(np.uint8)}
        return compare_outputs(*arrays, tolerance_for)[0].ok

    assert [agrees(actual) for actual in (few, many, far)] == [True, False, False]


def test_coarser_dtypes_have_wider_bounds() -> None:
    bounds = [tolerance_for(dtype).overall for dtype in FLOATS]
    assert bounds == sorted(bounds)
    assert len(set(bounds)) == len(FLOATS)


@pytest.mark.parametrize("dtype", FLOATS)
def test_an_element_has_more_room_than_the_whole(dtype: str) -> None:
    tolerance = tolerance_for(dtype)
    assert 0.0 < tolerance.overall < tolerance.element
    assert tolerance.source


@pytest.mark.parametrize(
    ("dtype", "precision", "like"),
    [
        ("float32", "fp16", "float16"),
        ("float32", "tf32", "float16"),
        ("float32", "bf16", "bfloat16"),
        ("float16", "fp32", "float16"),
        ("float64", "fp16", "float16"),
        ("float16", "bf16", "bfloat16"),
    ],
)
def test_the_coarser_of_dtype_and_precision_counts(dtype: str, precision: str, like: str) -> None:
    assert tolerance_for(dtype, precision).overall == tolerance_for(like).overall


def test_bounds_leave_room_for_rounding_in_a_long_chain() -> None:
    # Higham: a chain of n operations is off by about sqrt(n) unit roundoffs.
    for dtype, roundoff in (("float32", 2.0**-24), ("float64", 2.0**-53), ("float16", 2.0**-11)):
        assert tolerance_for(dtype).overall > roundoff * 150**0.5


def test_one_node_may_err_a_tenth_of_a_model() -> None:
    for dtype, precision in (("float32", "fp32"), ("float32", "fp16"), ("float64", "fp32")):
        whole, node = tolerance_for(dtype, precision), node_tolerance_for(dtype, precision)
        assert node.overall == pytest.approx(whole.overall / 10)
        assert node.element == pytest.approx(whole.element / 10)
        assert "one node" in node.source
    assert node_tolerance_for("int64").overall == 0.0
