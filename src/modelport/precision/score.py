"""Accuracy and speed of a rewritten model, measured beside the reference."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from modelport.arrays import Array, Arrays
from modelport.backends.base import Engine
from modelport.errors import UsageError
from modelport.model import Model
from modelport.numerics.metrics import cosine
from modelport.precision.fp32_fallback import widen
from modelport.precision.observation import open_engine

Run = Callable[[Mapping[str, Array]], Arrays]
Metric = Callable[[Run], float]
"""A user's measure of accuracy: a function of a runner (arrays by name to arrays by name) that
returns a number; a higher one is better."""

_ROUNDS = 7


class Scorer:
    """Scores models beside the reference in float32.

    Args:
        original: The model in float32.
        cases: Cases that were not calibrated on.
        metric: A user's metric; None for the agreement with the original: the cosine of the angle
            between the outputs, on average over the cases, of the worst output.
        libraries: Libraries of operators that the model needs.
    """

    def __init__(
        self,
        original: Model,
        cases: Sequence[Arrays],
        metric: Metric | None,
        libraries: Sequence[Path],
    ) -> None:
        self._cases = cases
        self._metric = metric
        self._libraries = libraries
        self._folder = tempfile.TemporaryDirectory(prefix="modelport-")
        self._original = open_engine(original, Path(self._folder.name), libraries)
        self._expected = [] if metric else [self._original.run(case) for case in cases]
        self.original_score = 1.0 if metric is None else self._apply(metric, self._original)

    def drop(self, model: Model) -> float:
        """The difference between the reference's score and a model's."""
        return self.original_score - self._score(self._open(model))

    def measure(self, model: Model) -> tuple[float, float, float]:
        """A model's drop, the milliseconds of a run, and those of the reference."""
        engine = self._open(model)
        seconds: tuple[list[float], list[float]] = ([], [])
        for _ in range(_ROUNDS):
            for taken, each in zip(seconds, (engine, self._original), strict=True):
                begin = time.perf_counter()
                each.run(self._cases[0])
                taken.append(time.perf_counter() - begin)
        mine, original = (1e3 * statistics.median(taken) for taken in seconds)
        return self.original_score - self._score(engine), mine, original

    def _open(self, model: Model) -> Engine:
        with tempfile.TemporaryDirectory(prefix="modelport-") as folder:
            return open_engine(widen(model), Path(folder), self._libraries)

    def _score(self, engine: Engine) -> float:
        if self._metric is not None:
            return self._apply(self._metric, engine)
        agreements = [
            _agreement(expected, engine.run(case))
            for case, expected in zip(self._cases, self._expected, strict=True)
        ]
        return float(np.mean(agreements))

    def _apply(self, metric: Metric, engine: Engine) -> float:
        name = getattr(metric, "__name__", "the metric")
        try:
            score = float(metric(engine.run))
        except Exception as error:  # the user's code may raise anything
            raise UsageError(
                f"{name} failed: {type(error).__name__}: {error}",
                fix="it gets a function from arrays by input name to arrays by output name, and "
                "returns a number",
            ) from error
        if not np.isfinite(score):
            raise UsageError(
                f"{name} returned {score}", fix="return a finite number, higher is better"
            )
        return score


def _agreement(expected: Arrays, actual: Arrays) -> float:
    """The cosine of the worst output; whole numbers agree where they are equal."""
    found = [1.0]
    for name, reference in expected.items():
        output = actual[name]
        if reference.dtype.kind != "f":
            found.append(
                float(np.mean(reference == output)) if reference.shape == output.shape else 0.0
            )
        elif reference.shape != output.shape or not np.isfinite(output).all():
            found.append(0.0)
        else:
            found.append(cosine(reference.astype(np.float64), output.astype(np.float64)))
    return min(found)
