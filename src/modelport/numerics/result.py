"""One output against what it should be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelport.arrays import Array
from modelport.numerics.metrics import cosine, rms
from modelport.numerics.tolerance import Tolerance

_OFTEN = 0.1
"""The root mean square of an error of 1 in a hundredth of the elements."""


@dataclass(frozen=True)
class OutputComparison:
    """How one output compares.

    Attributes:
        output: The output's name.
        ok: Whether every element lies within the tolerance.
        max_abs: Largest absolute error.
        max_rel: Largest error of an element, relative to ``|expected| + rms(expected)``.
        rms_rel: Error of the output as a whole: ``rms(actual - expected) / rms(expected)``.
        cosine: Cosine between both, as vectors.
        max_rel_allowed: The bound on ``max_rel``.
        rms_rel_allowed: The bound on ``rms_rel``.
        worst: Index of the worst element.
        expected: The expected value there.
        actual: The actual value there.
        reason: Why it is not ok, where the values do not say it: a wrong dtype or shape, NaN.
    """

    output: str
    ok: bool
    max_abs: float = 0.0
    max_rel: float = 0.0
    rms_rel: float = 0.0
    cosine: float = 1.0
    max_rel_allowed: float = 0.0
    rms_rel_allowed: float = 0.0
    worst: tuple[int, ...] = ()
    expected: float = 0.0
    actual: float = 0.0
    reason: str = ""

    def __str__(self) -> str:
        if self.reason:
            return f"output {self.output!r}: {self.reason}"
        text = (
            f"output {self.output!r}: max abs {self.max_abs:.3g}, "
            f"max rel {self.max_rel:.3g} (allowed {self.max_rel_allowed:.3g}), "
            f"rms rel {self.rms_rel:.3g} (allowed {self.rms_rel_allowed:.3g}), "
            f"cosine {self.cosine:.7f}"
        )
        if self.ok:
            return text
        index = ", ".join(map(str, self.worst))
        return f"{text}; worst at [{index}]: expected {self.expected!r}, got {self.actual!r}"


def compare_outputs(
    expected: Mapping[str, Array],
    actual: Mapping[str, Array],
    tolerance: Callable[[str], Tolerance],
) -> list[OutputComparison]:
    """Compares every expected output.

    Args:
        expected: Arrays by output name.
        actual: Arrays by output name.
        tolerance: The tolerance for a dtype.

    Returns:
        One comparison an expected output; one that is missing is not ok.
    """
    results = []
    for name, wanted in expected.items():
        if name not in actual:
            results.append(OutputComparison(name, False, reason="missing"))
        else:
            results.append(_compare(name, wanted, actual[name], tolerance(wanted.dtype.name)))
    return results


def _compare(name: str, expected: Array, actual: Array, tolerance: Tolerance) -> OutputComparison:
    if expected.shape != actual.shape:
        reason = f"shape {list(actual.shape)}, expected {list(expected.shape)}"
        return OutputComparison(name, False, reason=reason)
    if expected.dtype != actual.dtype:
        reason = f"dtype {actual.dtype.name}, expected {expected.dtype.name}"
        return OutputComparison(name, False, reason=reason)
    if expected.size == 0:
        return OutputComparison(name, True)
    if expected.dtype.kind in "UOS":
        ok = bool(np.array_equal(expected, actual))
        return OutputComparison(name, ok, reason="" if ok else "strings differ")
    if np.array_equal(expected, actual):
        return _equal(name, expected, tolerance)
    return _compare_numbers(name, expected, actual, tolerance)


def _equal(name: str, expected: Array, tolerance: Tolerance) -> OutputComparison:
    """What `_compare_numbers` would say of two equal arrays, at a fraction of its cost."""
    first = _number(expected.reshape(-1)[0])
    return OutputComparison(
        output=name,
        ok=True,
        max_rel_allowed=tolerance.element,
        rms_rel_allowed=tolerance.overall,
        worst=(0,) * expected.ndim,
        expected=first,
        actual=first,
    )


def _compare_numbers(
    name: str, expected: Array, actual: Array, tolerance: Tolerance
) -> OutputComparison:
    wanted, came = _as_float64(expected), _as_float64(actual)
    special = ~np.isfinite(wanted) | ~np.isfinite(came)
    same_special = special & ((wanted == came) | (np.isnan(wanted) & np.isnan(came)))
    broken = special & ~same_special
    wanted, came = np.where(special, 0.0, wanted), np.where(special, 0.0, came)
    # Integers beyond 2**53 meet in float64: their equality is decided on the integers.
    error = np.abs(wanted - came)
    magnitude = rms(wanted)
    scale = np.abs(wanted) + magnitude
    relative = np.divide(error, scale, out=np.zeros_like(error), where=scale > 0)
    relative[(scale == 0) & (error > 0)] = np.inf
    rms_rel = rms(error) / magnitude if magnitude else (0.0 if not error.any() else np.inf)
    if tolerance.element == 0.0:
        ok = bool(np.array_equal(expected, actual))
    else:
        ok = bool((error <= tolerance.element * scale + tolerance.levels).all())
        ok = ok and rms(error) <= tolerance.overall * magnitude + _OFTEN * tolerance.levels
        ok = ok and not broken.any()
    order = np.where(broken, np.inf, relative)
    place = np.unravel_index(np.argmax(order), order.shape)
    # A complex number is two numbers here.
    worst = tuple(int(index) for index in place[: expected.ndim])
    reason = ""
    if broken.any():
        reason = (
            f"{int(broken.sum())} NaN or infinite elements differ, first at {list(worst)}: "
            f"expected {expected[worst]}, got {actual[worst]}"
        )
    return OutputComparison(
        output=name,
        ok=ok,
        max_abs=float(error.max()),
        max_rel=float(relative.max()),
        rms_rel=float(rms_rel),
        cosine=cosine(wanted, came),
        max_rel_allowed=tolerance.element,
        rms_rel_allowed=tolerance.overall,
        worst=worst,
        expected=_number(expected[worst]),
        actual=_number(actual[worst]),
        reason=reason,
    )


def _as_float64(array: Array) -> Array:
    if array.dtype.kind == "c":
        array = np.stack([array.real, array.imag], axis=-1)
    return array.astype(np.float64)


def _number(value: Any) -> float:
    return float(abs(value)) if np.iscomplexobj(value) else float(value)
