from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from modelport import UsageError
from modelport.numerics import Bounds, Case, ReferenceCase, compare_outputs, tolerance_for
from modelport.numerics import verify_cases as verify


def agree(bounds: Bounds, expected: Any, actual: Any, name: str = "y") -> bool:
    compare = functools.partial(compare_outputs, tolerance=tolerance_for, bounds=bounds)
    (found,) = compare({name: np.asarray(expected)}, {name: np.asarray(actual)})
    return found.ok


ONES = np.ones(100, np.float32)


def test_relative_bound_replaces_the_usual_one_both_ways() -> None:
    assert not agree(Bounds(), ONES, ONES * np.float32(1.01))
    assert agree(Bounds(rtol=0.02), ONES, ONES * np.float32(1.01))
    assert agree(Bounds(), ONES, ONES * np.float32(1 + 1e-5))
    assert not agree(Bounds(rtol=1e-6), ONES, ONES * np.float32(1 + 1e-5))
    assert not agree(Bounds(rtol=0.0), ONES, ONES * np.float32(1 + 1e-6))


def test_absolute_bound_is_allowed_besides() -> None:
    zeros = np.zeros(100, np.float32)
    assert not agree(Bounds(), zeros, zeros + np.float32(1e-3))
    assert agree(Bounds(atol=1e-2), zeros, zeros + np.float32(1e-3))
    assert not agree(Bounds(atol=1e-4), zeros, zeros + np.float32(1e-3))


def test_integers_stay_equal_unless_they_are_named() -> None:
    whole = np.arange(5)
    assert not agree(Bounds(rtol=1.0, atol=1.0), whole, whole + 1)
    assert agree(Bounds(atol={"y": 1.0}), whole, whole + 1)
    assert not agree(Bounds(atol={"y": 1.0}), whole, whole + 2)


def test_bound_by_name_is_of_that_output_alone() -> None:
    bounds = Bounds(rtol={"near": 0.1})
    assert agree(bounds, ONES, ONES * np.float32(1.01), "near")
    assert not agree(bounds, ONES, ONES * np.float32(1.01), "far")


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_bound_is_a_number_from_0_up(value: float) -> None:
    with pytest.raises(UsageError, match="rtol"):
        Bounds(rtol=value)
    with pytest.raises(UsageError, match="atol"):
        Bounds(atol={"y": value})


def test_name_of_no_output_is_refused() -> None:
    case = ReferenceCase(Case("a", {"x": ONES}, "drawn"), {"y": ONES})
    with pytest.raises(UsageError, match="'z', which is no output") as caught:
        verify([case], lambda inputs: {"y": inputs["x"]}, bounds=Bounds(atol={"z": 1.0}))
    assert caught.value.fix == "the outputs are y"
