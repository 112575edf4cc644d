"""Choices of tune, at fp32 and with a bound on the error, against default engines"""

from __future__ import annotations

import functools
import math
import os
import tempfile
import warnings
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import numpy as np

import modelport
from benchmarks.interleave import Row
from benchmarks.models import MODELS
from benchmarks.peaks import measure_peaks
from modelport.deployment import Plan
from modelport.deployment.exporter import proven_attempt
from modelport.graph import inspect
from modelport.target import Target
from modelport.tuning import Measured, Timing, make_workspace, measure_plans, tune

BUDGET = float(os.environ.get("MODELPORT_BENCH_BUDGET", "120"))
"""Seconds of each search; there are two for every model."""
ROUNDS = int(os.environ.get("MODELPORT_BENCH_ROUNDS", "15"))
SLACK = 1.05
"""Factor by which the choice may be slower than the best other one, if the interval excludes 1."""

COMPILED = Target("torch", provider="compile")
OTHERS = {
    "eager": Plan(Target("torch")),
    "torch.compile": Plan(COMPILED, {"freezing": False}),
    "torch.compile, freezing": Plan(COMPILED, {"freezing": True}),
    "ONNX Runtime": Plan(Target("onnxruntime")),
    "OpenVINO": Plan(Target("openvino")),
}
LOSSY = {"OpenVINO bf16": Plan(Target("openvino", precision="bf16"))}
"""Error of a default engine where an error is allowed."""

TOLERANCE = 0.05
"""The error over an output's rms that the second search allows."""
BOUNDS = {"exact": None, f"error up to {TOLERANCE}": TOLERANCE}
_CASES = 20
LEAST_MEAN = 3.0
"""Expected mean speedup of the choices with a bound over eager PyTorch."""
PEAK = 0.75
"""The share of the peak of 8 bits that ResNet-50 is to reach with a bound."""

Peaks = dict[str, float]
Ratios = dict[str, float]


def run() -> Iterator[Row]:
    """Every model, then the geometric means over all."""
    peaks = yield from _peaks()
    found: dict[str, list[float]] = {bound: [] for bound in BOUNDS}
    for name in MODELS:
        ratios = yield from _model(name, peaks)
        for bound, ratio in ratios.items():
            found[bound].append(ratio)
    for bound, each in found.items():
        mean = math.exp(sum(map(math.log, each)) / len(each))
        target = ("", True) if BOUNDS[bound] is None else (f">= {LEAST_MEAN}", mean >= LEAST_MEAN)
        yield Row(f"{bound}: over eager, geometric mean", f"{mean:.2f}x", *target)


def _alone(name: str) -> Iterator[Row]:
    peaks = yield from _peaks()
    yield from _model(name, peaks)


PARTS: dict[str, Callable[[], Iterator[Row]]] = {
    name: functools.partial(_alone, name) for name in MODELS
}


def _peaks() -> Generator[Row, None, Peaks]:
    peaks = measure_peaks()
    for name, peak in peaks.items():
        yield Row(f"peak, {name}", f"{peak / 1e9:.0f} GOP/s")
    return peaks


def _model(name: str, peaks: Peaks) -> Generator[Row, None, Ratios]:
    """Searches for the best of one model, with and without a bound; both meet all others.

    Returns:
        How many times faster than eager PyTorch each choice is.
    """
    warnings.simplefilter("ignore")
    recipe = MODELS[name]()
    chosen = {
        bound: tune(
            recipe,
            budget=BUDGET,
            tolerance=tolerance,
            data=None if tolerance is None else list(_cases(recipe)),
        ).plan
        for bound, tolerance in BOUNDS.items()
    }
    plans = {**OTHERS, **LOSSY, **chosen}
    measured = dict(zip(plans, _measured(recipe, list(plans.values())), strict=True))
    for label in (*OTHERS, *LOSSY):
        yield Row(f"{name}: {label}", _figure(measured[label]))
    ratios, operations = {}, _operations(recipe)
    for bound, tolerance in BOUNDS.items():
        winner = measured[bound]
        labels = OTHERS if tolerance is None else {**OTHERS, **LOSSY}
        others = {label: measured[label] for label in labels if not measured[label].failure}
        yield Row(f"{name}, {bound}: tune", f"{_figure(winner)}: {winner.model}")
        yield _against_best(f"{name}, {bound}: tune", winner, others)
        of = "fp32" if tolerance is None else "int8"
        least = PEAK if (name, of) == ("resnet50", "int8") else 0.0
        assert winner.timing is not None, winner.failure
        share = operations / winner.timing.median / peaks[of]
        target = f">= {least:.0%}" if least else ""
        yield Row(
            f"{name}, {bound}: share of the {of} peak", f"{share:.0%}", target, share >= least
        )
        assert winner.ratio is not None, winner.failure
        ratios[bound] = winner.ratio
    return ratios


def _measured(recipe: modelport.Recipe, plans: list[Plan]) -> list[Measured]:
    """All in turn; those that are one and the same are run once."""
    distinct = list({str(plan): plan for plan in plans}.values())
    with tempfile.TemporaryDirectory() as folder:
        workspace = make_workspace(Path(folder) / "model", proven_attempt(recipe).attempt, distinct)
        found = measure_plans(workspace, distinct, rounds=ROUNDS)
    by_name = {str(plan): item for plan, item in zip(distinct, found, strict=True)}
    return [by_name[str(plan)] for plan in plans]


def _figure(item: Measured) -> str:
    if item.timing is None or item.ratio is None:
        return f"failed: {item.failure[:60]}"
    return f"{item.timing.median * 1e3:.3g} ms, {item.ratio:.2f}x eager"


def _against_best(what: str, winner: Measured, others: dict[str, Measured]) -> Row:
    times = {label: other.timing.median for label, other in others.items() if other.timing}
    best = min(times, key=lambda label: times[label])
    pairs = zip(winner.rounds, others[best].rounds, strict=True)
    ratios = Timing(tuple(one / other for one, other in pairs))
    low, high = ratios.interval
    ok = ratios.median <= SLACK or low <= 1.0
    figure = f"{ratios.median:.2f} ({low:.2f}..{high:.2f})"
    return Row(f"{what} over the best other ({best})", figure, f"<= {SLACK}", ok)


def _cases(recipe: modelport.Recipe) -> Iterator[dict[str, np.ndarray]]:
    """Inputs as the example: of its mean and deviation, or of its range where it has integers."""
    rng = np.random.default_rng(0)
    names = recipe.input_names or ()
    for _ in range(_CASES):
        case = {}
        for name, tensor in zip(names, recipe.args or (), strict=True):
            array = tensor.numpy()
            if array.dtype.kind == "f":
                case[name] = rng.permutation(array.reshape(-1)).reshape(array.shape)
            else:
                case[name] = rng.integers(0, array.max() + 1, array.shape, array.dtype)
        yield case


def _operations(recipe: modelport.Recipe) -> float:
    """Operations of a call; a product and a sum are two."""
    return 2.0 * int(inspect(modelport.export(recipe, probes=False)).macs)
