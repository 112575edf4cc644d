"""Ranges: read off the model's own values, as published methods define them."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from modelport import CalibrationTable, UsageError, calibrate
from modelport.graph import expose
from modelport.precision.calibration import METHODS
from modelport.precision.histograms import (
    BINS,
    Histogram,
    largest,
    least_divergence,
    least_squares,
)
from tests.precision.nets import pictures, residual
from tests.precision.support import run

RNG = np.random.default_rng(0)
LONG_TAIL = RNG.standard_t(3, 200_000).astype(np.float32)


def seen(values: np.ndarray, parts: int = 1) -> Histogram:
    histogram = Histogram()
    for part in np.array_split(values, parts):
        histogram.add(part)
    return histogram


def test_ends_are_those_of_the_values_in_the_model(tmp_path: Path) -> None:
    _, model = residual()
    cases = pictures(5)
    table = calibrate(model, cases, method="minmax")
    names = ["conv2d", "relu", "max_pool2d"]
    path = expose(model, names).save(tmp_path / "m.onnx")
    outputs = [run(path, case)[1:] for case in cases]
    for place, name in enumerate(names):
        values = np.stack([output[place] for output in outputs])
        low, high = table.ranges[name]
        np.testing.assert_allclose(high, values.max(), rtol=1e-5)
        np.testing.assert_allclose(low, min(0, values.min()), rtol=1e-5)
    assert table.ranges["x"][1] == max(case["x"].max() for case in cases)
    assert table.cases == 5


@pytest.mark.parametrize("method", METHODS)
def test_ranges_never_go_beyond_the_values(method: str) -> None:
    _, model = residual()
    cases = pictures(5)
    whole = calibrate(model, cases, method="minmax").ranges
    for name, (low, high) in calibrate(model, cases, method=method).ranges.items():
        assert whole[name][0] <= low <= 0 <= high <= whole[name][1]


def test_histogram_of_a_stream_is_that_of_the_whole() -> None:
    growing = LONG_TAIL[np.argsort(np.abs(LONG_TAIL))]
    histogram = seen(growing, 50)
    assert (histogram.low, histogram.high) == (growing.min(), growing.max())
    assert histogram.counts.sum() == growing.size
    wanted, _ = np.histogram(np.abs(growing), BINS, (0, histogram.limit))
    # Rounding moves a value on an edge to the next bin.
    assert np.abs(np.cumsum(histogram.counts) - np.cumsum(wanted)).max() < 100


def test_percentile_is_numpys() -> None:
    histogram = seen(LONG_TAIL, 7)
    wanted = np.percentile(np.abs(LONG_TAIL), 99.9)
    assert abs(largest(histogram, 99.9) - wanted) <= 1.5 * histogram.limit / BINS
    assert largest(histogram) == np.abs(LONG_TAIL).max()


def test_least_squares_is_near_the_best_of_all_thresholds() -> None:
    values = RNG.laplace(size=200_000).astype(np.float32)
    thresholds = np.linspace(0.05, 1.0, 96) * np.abs(values).max()

    def error(threshold: float) -> float:
        step = threshold / 127
        rounded = np.clip(np.rint(values / step), -127, 127) * step
        return float(np.mean((values - rounded) ** 2))

    best = min(map(error, thresholds))
    chosen = least_squares(seen(values))
    assert error(chosen) <= 1.05 * best
    assert error(chosen) < 0.8 * error(float(np.abs(values).max()))


def test_least_divergence_cuts_a_long_tail_and_keeps_a_level_one() -> None:
    tail, level = seen(LONG_TAIL), seen(RNG.uniform(-1, 1, 200_000).astype(np.float32))
    assert least_divergence(tail) < 0.6 * largest(tail)
    assert least_divergence(level) > 0.9 * largest(level)


@pytest.mark.parametrize("choose", [largest, least_squares, least_divergence])
def test_what_is_always_zero_has_an_empty_range(choose: object) -> None:
    assert choose(seen(np.zeros(10, np.float32))) == 0.0  # type: ignore[operator]


def test_table_is_kept_as_it_is(tmp_path: Path) -> None:
    table = CalibrationTable({"a/b:0": (-1.25, 3.0), "c": (0.0, 1e-6)}, "mse", 64)
    path = table.save(tmp_path / "t.json")
    assert CalibrationTable.load(path) == table
    path.write_text(path.read_text().replace("3.0", "4.5"))
    assert CalibrationTable.load(path).ranges["a/b:0"] == (-1.25, 4.5)


def test_cache_of_tensorrt_is_read(tmp_path: Path) -> None:
    scale = struct.pack(">f", 0.0125).hex()
    path = tmp_path / "calibration.cache"
    path.write_text(f"TRT-8601-EntropyCalibration2\ninput: {scale}\nlayer1:conv: 3c010a14\n")
    table = CalibrationTable.load(path)
    assert table.method == "TRT-8601-EntropyCalibration2"
    low, high = table.ranges["input"]
    np.testing.assert_allclose([low, high], [-127 * 0.0125, 127 * 0.0125], rtol=1e-6)
    np.testing.assert_allclose(table.ranges["layer1:conv"][1], 127 * 0.00787594, rtol=1e-5)


HEAD = '{"format": "modelport calibration table", "method": "m", "cases": 1, "ranges": '


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"format": "another"}',
        HEAD + '{"a": [1]}}',
        HEAD + '{"a": [1, 2]}}',
        "TRT-8601-X\nno scale here\n",
        "TRT-8601-X\na: zz\n",
        "TRT-8601-X\na: 7fc00000\n",
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"not a calibration table|is none to quantize to"):
        CalibrationTable.load(path)


def test_methods_and_percentiles_that_there_are_not() -> None:
    _, model = residual()
    with pytest.raises(UsageError, match="unknown calibration 'best'"):
        calibrate(model, pictures(1), method="best")
    with pytest.raises(UsageError, match=r"the percentile 0 is not in 0\.\.100"):
        calibrate(model, pictures(1), method="percentile", percentile=0)
