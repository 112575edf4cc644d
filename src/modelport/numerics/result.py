"""One output against what it should be."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelport.arrays import Array
from modelport.numerics.metrics import cosine, rms
from modelport.numerics.tolerance import Bounds, Tolerance

_ROUNDINGS = 4.0
"""How many times the reference's own rounding error two runtimes may lie apart by rounding."""
_NO_MEASURE = 100.0
"""How many times the allowed error the reference's own may be, for a case to say anything."""
_BETWEEN_LEVELS = 0.01
"""The share of elements that may be off by a level, since they lay between two; one always may."""


@dataclass(frozen=True)
class OutputComparison:
    """How one output compares.

    Attributes:
        output: The output's name.
        ok: Whether every element lies within the tolerance.
        max_abs: Largest absolute error.
        max_rel: Largest error of an element, relative to ``|expected| + scale``; see `Tolerance`.
        rms_rel: Error of the output as a whole: ``rms(actual - expected) / scale``.
        cosine: Cosine between both, as vectors.
        max_rel_allowed: The bound on ``max_rel``.
        rms_rel_allowed: The bound on ``rms_rel``.
        worst: Index of the worst element.
        expected: The expected value there.
        actual: The actual value there.
        reason: Why it is not ok, where the values do not say it: a wrong dtype or shape, NaN.
        rounding: The reference's own error against float64, relative to the scale, where it was
            asked for; 0 elsewhere.
        no_evidence: Whether that error is so large that the case proves nothing.
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
    rounding: float = 0.0
    no_evidence: bool = False

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
    *,
    scales: Mapping[str, float] | None = None,
    exact: Mapping[str, Array] | None = None,
    finite: Collection[str] = (),
    bounds: Bounds | None = None,
) -> list[OutputComparison]:
    """Compares every expected output.

    An error is allowed up to the larger of the tolerance times the output's scale and, where the
    reference is known in float64, four times the reference's own error: two runtimes that round
    otherwise lie apart by as much as each of them lies from the exact result (the forward error of
    N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 1.5). Below the
    smallest normal number of the dtype a runtime may flush to zero.

    Args:
        expected: Arrays by output name.
        actual: Arrays by output name.
        tolerance: The tolerance for a dtype.
        scales: Root mean squares by output name that stand in for smaller ones of this case; see
            `modelport.numerics.verification.output_scales`.
        exact: The reference's outputs in float64 by name.
        finite: Names of outputs that are finite in the example: where the reference has NaN or
            infinity nevertheless, an element is not compared.
        bounds: The user's own bounds, which go before the tolerance.

    Returns:
        One comparison an expected output; one that is missing is not ok.
    """
    results = []
    for name, wanted in expected.items():
        if name not in actual:
            results.append(OutputComparison(name, False, reason="missing"))
            continue
        allowed = tolerance(wanted.dtype.name)
        if bounds is not None:
            allowed = bounds.applied(allowed, name)
        scale = (scales or {}).get(name, 0.0)
        given = _Measure(allowed, scale, (exact or {}).get(name), name in finite)
        results.append(_compare(name, wanted, actual[name], given))
    return results


@dataclass(frozen=True)
class _Measure:
    """Everything that an output is judged by; see `compare_outputs`."""

    tolerance: Tolerance
    scale: float
    exact: Array | None
    finite: bool


def _compare(name: str, expected: Array, actual: Array, measure: _Measure) -> OutputComparison:
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
        return _equal(name, expected, measure.tolerance)
    return _compare_numbers(name, expected, actual, measure)


def _equal(name: str, expected: Array, tolerance: Tolerance) -> OutputComparison:
    """The result of `_compare_numbers` for two equal arrays, at a fraction of its cost."""
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
    name: str, expected: Array, actual: Array, measure: _Measure
) -> OutputComparison:
    tolerance = measure.tolerance
    wanted, came = as_float64(expected), as_float64(actual)
    undefined = ~np.isfinite(wanted) if measure.finite else np.zeros(wanted.shape, bool)
    special = ~np.isfinite(wanted) | ~np.isfinite(came)
    same_special = special & ((wanted == came) | (np.isnan(wanted) & np.isnan(came)))
    broken = special & ~same_special & ~undefined
    wanted, came = np.where(special, 0.0, wanted), np.where(special, 0.0, came)
    # Integers beyond 2**53 meet in float64: their equality is decided on the integers.
    error = np.abs(wanted - came)
    scale = max(rms(wanted), measure.scale)
    magnitude = np.abs(wanted) + scale
    relative = np.divide(error, magnitude, out=np.zeros_like(error), where=magnitude > 0)
    relative[(magnitude == 0) & (error > 0)] = np.inf
    rms_rel = rms(error) / scale if scale else (0.0 if not error.any() else np.inf)
    own = _rounding(wanted, special, measure.exact)
    if tolerance.element == tolerance.absolute == 0.0:
        ok = bool(np.array_equal(expected, actual))
    else:
        ok = _is_within(error, magnitude, scale, tolerance, own, _floor(expected))
        ok = ok and not broken.any()
    rounding = rms(own) / scale if scale else 0.0
    # What must be equal has no such measure.
    no_evidence = 0 < _NO_MEASURE * tolerance.overall < rounding and not broken.any()
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
        ok=ok and not no_evidence,
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
        rounding=rounding,
        no_evidence=no_evidence,
    )


def _is_within(
    error: Array, magnitude: Array, scale: float, tolerance: Tolerance, own: Array, floor: float
) -> bool:
    """Whether errors are allowed, each and as a whole; a few may be off by a level besides."""
    fixed = tolerance.absolute + floor
    rounding = _ROUNDINGS * float(own.max(initial=0.0))
    beyond = error > np.maximum(tolerance.element * magnitude, rounding) + fixed
    if tolerance.levels:
        between = beyond & (error <= tolerance.levels)
        if between.sum() > max(1.0, _BETWEEN_LEVELS * between.size):
            return False
        beyond &= ~between
        error = np.where(error <= tolerance.levels, 0.0, error)
    if beyond.any():
        return False
    return rms(error) <= max(tolerance.overall * scale, _ROUNDINGS * rms(own)) + fixed


def _rounding(wanted: Array, special: Array, exact: Array | None) -> Array:
    """The reference's own errors against float64; zeros where that is not known."""
    exact = None if exact is None else as_float64(exact)
    if exact is None or exact.shape != wanted.shape:
        return np.zeros_like(wanted)
    own = np.abs(np.where(special, 0.0, exact) - wanted)
    return np.where(np.isfinite(own), own, 0.0)


def _floor(array: Array) -> float:
    """The smallest normal number of a float dtype: what is below it may be flushed to zero."""
    if array.dtype.kind in "fc":
        return float(np.finfo(array.dtype).tiny)
    return 2.0**-126 if array.dtype.name == "bfloat16" else 0.0


def as_float64(array: Array) -> Array:
    """Numbers as float64; a complex number becomes two, along a new last axis."""
    if array.dtype.kind == "c":
        array = np.stack([array.real, array.imag], axis=-1)
    return array.astype(np.float64)


def _number(value: Any) -> float:
    return float(abs(value)) if np.iscomplexobj(value) else float(value)
