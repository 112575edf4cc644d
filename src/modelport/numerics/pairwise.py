"""Two models side by side on cases: verdicts, measures, and the user's own metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelport.arrays import Array
from modelport.errors import RunError, UsageError
from modelport.numerics.cases import Case
from modelport.numerics.result import OutputComparison, compare_outputs
from modelport.numerics.statistics import Measures, measure
from modelport.numerics.tolerance import Bounds, Tolerance
from modelport.numerics.verification import Runner

Metric = Callable[[Array, Array], float | bool]
"""The user's own: expected and actual array to a figure, or to a verdict where it is a bool."""


@dataclass(frozen=True)
class ComparedOutput:
    """One output of one case.

    Attributes:
        verdict: Whether it agrees, by the tolerance.
        measures: What was measured; None for strings, empty arrays and other shapes.
        tolerance: The tolerance.
        metrics: What the user's functions say, by name.
    """

    verdict: OutputComparison
    measures: Measures | None
    tolerance: Tolerance
    metrics: Mapping[str, float | bool] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether it agrees and no function of the user's says no."""
        return self.verdict.ok and not any(value is False for value in self.metrics.values())

    def to_json(self) -> dict[str, Any]:
        """The output as plain dicts and lists."""
        return {
            "output": self.verdict.output,
            "ok": self.ok,
            "reason": self.verdict.reason,
            "worst": {
                "index": list(self.verdict.worst),
                "expected": str(self.verdict.expected),
                "actual": str(self.verdict.actual),
            },
            "rms_rel": _finite(self.verdict.rms_rel),
            "tolerance": {
                "overall": self.tolerance.overall,
                "element": self.tolerance.element,
                "source": self.tolerance.source,
            },
            "measures": None if self.measures is None else self.measures.to_json(),
            "metrics": {
                name: value if isinstance(value, bool) else _finite(value)
                for name, value in self.metrics.items()
            },
        }


@dataclass(frozen=True)
class ComparedCase:
    """How two models compare on one case.

    Attributes:
        case: The case.
        outputs: One comparison an output of the reference.
        failure: The candidate's error, where it did not run.
        saved: Where the case was written to, if it was.
    """

    case: Case
    outputs: tuple[ComparedOutput, ...]
    failure: str = ""
    saved: str = ""

    @property
    def ok(self) -> bool:
        """Whether the candidate ran and every output agrees."""
        return not self.failure and all(output.ok for output in self.outputs)

    def to_json(self) -> dict[str, Any]:
        """The case as plain dicts and lists."""
        return {
            "case": self.case.name,
            "origin": self.case.origin,
            "shapes": {name: list(array.shape) for name, array in self.case.inputs.items()},
            "ok": self.ok,
            "failure": self.failure,
            "saved": self.saved,
            "outputs": [output.to_json() for output in self.outputs],
        }


@dataclass(frozen=True)
class Judge:
    """What two arrays are compared by.

    Attributes:
        tolerance: The tolerance for a dtype.
        metrics: The user's functions, by name.
        bounds: The user's own bounds on outputs' errors.
        measuring: Whether to measure more than the verdict needs.
    """

    tolerance: Callable[[str], Tolerance]
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    bounds: Bounds = field(default_factory=Bounds)
    measuring: bool = True

    def __call__(
        self, expected: Mapping[str, Array], actual: Mapping[str, Array]
    ) -> tuple[ComparedOutput, ...]:
        """Compares every expected output; floats of another precision are no mismatch as such.

        Args:
            expected: Arrays by output name.
            actual: Arrays by output name; where no name is known, in the order of `expected`.

        Returns:
            One comparison an expected output.
        """
        found = by_name_or_place(expected, actual)
        return tuple(self._judge(name, array, found.get(name)) for name, array in expected.items())

    def _judge(self, name: str, expected: Array, actual: Array | None) -> ComparedOutput:
        coarser = expected.dtype.name
        if actual is None:
            verdict = compare_outputs({name: expected}, {}, self.tolerance)[0]
            return ComparedOutput(verdict, None, self.tolerance(coarser))
        if actual.dtype != expected.dtype and _both_floats(expected, actual):
            coarser = min((expected, actual), key=lambda array: _digits(array)).dtype.name
            actual = actual.astype(expected.dtype)
        tolerance = self.bounds.applied(self.tolerance(coarser), name)
        verdict = compare_outputs({name: expected}, {name: actual}, lambda _: tolerance)[0]
        figures = {
            key: _call(key, metric, expected, actual) for key, metric in self._usable(verdict)
        }
        measures = measure(expected, actual) if self.measuring else None
        return ComparedOutput(verdict, measures, tolerance, figures)

    def _usable(self, verdict: OutputComparison) -> list[tuple[str, Metric]]:
        """Functions of two arrays of one shape have nothing to say about two shapes."""
        return [] if verdict.reason.startswith(("shape", "dtype")) else list(self.metrics.items())


def compare_case(
    case: Case, expected: Mapping[str, Array], candidate: Runner, judge: Judge
) -> tuple[ComparedCase, Mapping[str, Array]]:
    """Runs a candidate on a case and compares.

    Args:
        case: The case.
        expected: What the reference makes of it, by output name.
        candidate: From arrays by input name to arrays by output name.
        judge: What to compare by.

    Returns:
        The comparison, and what the candidate gave; its error is a result too.
    """
    try:
        actual = candidate(case.inputs)
    except RunError as error:
        return ComparedCase(case, (), " ".join(str(error).split())), {}
    return ComparedCase(case, judge(expected, actual)), actual


def by_name_or_place(wanted: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given under the names that are wanted; what is left on both sides goes by place.

    Args:
        wanted: The names, in order.
        given: Values by name, in order.

    Returns:
        Values by wanted name. Where other numbers are left on the two sides, none of them is there.
    """
    found = {name: given[name] for name in wanted if name in given}
    nameless = [name for name in wanted if name not in given]
    left = [value for name, value in given.items() if name not in wanted]
    return found | dict(zip(nameless, left, strict=True)) if len(nameless) == len(left) else found


def _both_floats(*arrays: Array) -> bool:
    return all(array.dtype.kind == "f" or array.dtype.name == "bfloat16" for array in arrays)


def _digits(array: Array) -> int:
    """Binary digits of a float's significand, for the order of precision."""
    return {"bfloat16": 8, "float16": 11, "float32": 24}.get(array.dtype.name, 53)


def _call(name: str, metric: Metric, expected: Array, actual: Array) -> float | bool:
    try:
        value = metric(expected, actual)
        return bool(value) if isinstance(value, bool | np.bool_) else float(value)
    except Exception as error:  # the user's code may raise anything
        raise UsageError(
            f"the metric {name!r} failed: {type(error).__name__}: {error}",
            fix="it takes the expected and the actual array, and returns a number or a bool",
        ) from error


def _finite(value: float) -> float | str:
    return value if np.isfinite(value) else str(value)


def worst_output(cases: Sequence[ComparedCase]) -> tuple[ComparedCase, ComparedOutput] | None:
    """The output whose error is the largest part of what is allowed."""
    pairs = [(case, output) for case in cases for output in case.outputs]
    return max(pairs, key=lambda pair: (not pair[1].ok, pair[1].verdict.max_rel), default=None)
