"""Calibration: the ranges of a model's tensors on a user's data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from modelport.arrays import Array, Arrays
from modelport.errors import UsageError
from modelport.ir.shape_inference import infer_shapes
from modelport.model import Model
from modelport.precision.calibration_table import CalibrationTable
from modelport.precision.data import CalibrationData, Source
from modelport.precision.histograms import (
    Histogram,
    largest,
    least_divergence,
    least_squares,
)
from modelport.precision.observation import Observer, libraries_of
from modelport.precision.quantizable import tensors_to_calibrate
from modelport.progress import Progress, Silent

METHODS = ("minmax", "percentile", "entropy", "mse")
"""Methods to choose a range: all values; percentile; nearest distribution; least error."""


METHOD = "mse"
"""The method by default."""


def calibrate(
    model: Model,
    data: Source,
    *,
    method: str = METHOD,
    percentile: float = 99.99,
    libraries: Sequence[Path] | None = None,
    progress: Progress | None = None,
) -> CalibrationTable:
    """Calibrates a model for int8: the ranges of its tensors on a user's data.

    Args:
        model: The model, in float32; it stays as it is.
        data: Calibration data; see `modelport.precision.data.CalibrationData`.
        method: One of `METHODS`.
        percentile: Share of the magnitudes inside of the range, in percent, for ``percentile``.
        libraries: Libraries of operators that the model needs; by default those of the operators
            that are declared.
        progress: Told of every case.

    Returns:
        The ranges of the tensors that may turn to 8 bits.

    Raises:
        UsageError: The method is unknown, the data are not the model's, or it overflows on them.
        BuildError: ONNX Runtime does not take the model.
    """
    typed = model.copy()
    infer_shapes(typed.ir)
    return read_ranges(
        typed,
        CalibrationData(data, typed.signature),
        tensors_to_calibrate(typed.ir.graph),
        method=method,
        percentile=percentile,
        libraries=libraries_of(model) if libraries is None else libraries,
        progress=progress,
    )


def read_ranges(
    model: Model,
    cases: Iterable[Arrays],
    tensors: Iterable[str],
    *,
    method: str,
    percentile: float = 99.99,
    libraries: Sequence[Path] = (),
    progress: Progress | None = None,
) -> CalibrationTable:
    """Computes the ranges of tensors in runs of a model on ONNX Runtime.

    Statistics are streamed: one histogram per tensor is kept, no activations.

    Args:
        model: The model, in float32.
        cases: Inputs by name.
        tensors: Names of the model's inputs, or of tensors that its main graph computes.
        method: One of `METHODS`.
        percentile: Share of the magnitudes inside of the range, in percent, for ``percentile``.
        libraries: Libraries of operators that the model needs; by default those of the operators
            that are declared.
        progress: Told of every case.

    Returns:
        The ranges of the tensors that are float32.

    Raises:
        UsageError: The method is unknown, there are no cases, or a tensor has NaN or infinity.
        BuildError: ONNX Runtime does not take the model.
    """
    threshold_of = _threshold(method, percentile)
    histograms: dict[str, Histogram] = defaultdict(Histogram)

    def look(name: str, array: Array) -> None:
        if array.dtype == np.float32:
            require_finite(name, array)
            histograms[name].add(array)

    count = observe(model, cases, tensors, look, libraries, progress)
    if not count:
        raise UsageError("there are no calibration data")
    ranges = {}
    for name, histogram in histograms.items():
        threshold = threshold_of(histogram)
        ranges[name] = (max(histogram.low, -threshold), min(histogram.high, threshold))
    return CalibrationTable(ranges, method, count)


def observe(
    model: Model,
    cases: Iterable[Arrays],
    tensors: Iterable[str],
    look: Callable[[str, Array], None],
    libraries: Sequence[Path] = (),
    progress: Progress | None = None,
) -> int:
    """Runs a model on cases, and passes its tensors to a function.

    Args:
        model: The model.
        cases: Inputs by name.
        tensors: Names of tensors.
        look: Given every tensor's name and values.
        libraries: Libraries of operators that the model needs; by default those of the operators
            that are declared.
        progress: Told of every case.

    Returns:
        How many cases there were.
    """
    progress = progress or Silent()
    count = 0
    with Observer(model, tensors, libraries) as observer:
        for inputs in cases:
            progress.start(f"calibrate: case {count + 1}")
            observer.run(inputs, look)
            count += 1
    return count


def require_finite(name: str, array: Array) -> None:
    """Raises `UsageError` if the model itself overflows."""
    if not np.isfinite(array).all():
        raise UsageError(
            f"the tensor {name!r} has NaN or infinite values on the calibration data",
            why="the model overflows in float32, so that no range can be read",
            fix="calibrate on data as the model was trained on",
        )


def _threshold(method: str, percentile: float) -> Callable[[Histogram], float]:
    if method not in METHODS:
        raise UsageError(f"unknown calibration {method!r}", fix=f"one of: {', '.join(METHODS)}")
    if not 0.0 < percentile <= 100.0:
        raise UsageError(f"the percentile {percentile:g} is not in 0..100")
    chosen: Mapping[str, Callable[[Histogram], float]] = {
        "minmax": largest,
        "percentile": lambda histogram: largest(histogram, percentile),
        "entropy": least_divergence,
        "mse": least_squares,
    }
    return chosen[method]
