"""What tune chooses, at fp32 and with a bound on the error, against the engines as they come"""

from __future__ import annotations

import math
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

import modelport
from benchmarks.interleave import Row
from benchmarks.peaks import measure_peaks
from modelport.compilation import Plan
from modelport.recipe import load_recipe
from modelport.target import Target
from modelport.tuning import Measured, Timing, make_workspace, measure_plans, tune
from tests.models.resnet import resnet50
from tests.models.tagger import tagger
from tests.models.unet import unet
from tests.models.vit import vit_s16

BUDGET = float(os.environ.get("MODELPORT_BENCH_BUDGET", "300"))
ROUNDS = int(os.environ.get("MODELPORT_BENCH_ROUNDS", "15"))
SLACK = 1.05
"""How much slower than the best other way the choice may be, unless the interval reaches 1."""

COMPILED = Target("torch", provider="compile")
OTHERS = {
    "eager": Plan(Target("torch")),
    "torch.compile": Plan(COMPILED, {"freezing": False}),
    "torch.compile, freezing": Plan(COMPILED, {"freezing": True}),
    "ONNX Runtime": Plan(Target("onnxruntime")),
    "OpenVINO": Plan(Target("openvino")),
}
BF16 = Plan(Target("openvino", precision="bf16"))
EXAMPLES = Path(__file__).parent.parent / "examples"


TOLERANCE = 0.05
"""The error over an output's rms that the second part allows."""
_CASES = 20
PEAK = 0.75
"""The share of the peak of 8 bits that ResNet-50 is to reach with a bound."""


def run() -> list[Row]:
    """Every model at one size: the winner of `tune` and the others in turn."""
    warnings.simplefilter("ignore")
    chosen = os.environ.get("MODELPORT_BENCH_MODELS", ",".join(MODELS)).split(",")
    peaks = measure_peaks()
    rows = [Row(f"peak, {name}", f"{peak / 1e9:.0f} GOP/s") for name, peak in peaks.items()]
    ratios: dict[str, list[float]] = {"exact": [], f"error up to {TOLERANCE}": []}
    for name in chosen:
        recipe = MODELS[name]()
        operations = _operations(recipe)
        for bound, found in zip(ratios, (_tune(recipe), _tune(recipe, TOLERANCE)), strict=True):
            winner, others = found
            rows += _rows(f"{name}, {bound}", winner, others, operations, peaks)
            if winner.ratio is not None:
                ratios[bound].append(winner.ratio)
    for bound, each in ratios.items():
        if not each:
            continue
        mean = math.exp(sum(map(math.log, each)) / len(each))
        target = (">= 3x", mean >= 3) if bound != "exact" else ("", True)
        rows.append(Row(f"{bound}: over eager, geometric mean", f"{mean:.2f}x", *target))
    return rows


def _tune(
    recipe: modelport.Recipe, tolerance: float | None = None
) -> tuple[Measured, dict[str, Measured]]:
    """The winner, measured anew beside the others."""
    data = None if tolerance is None else list(_cases(recipe))
    winner = tune(recipe, budget=BUDGET, tolerance=tolerance, data=data).plan
    others = OTHERS if tolerance is None else {**OTHERS, "OpenVINO bf16": BF16}
    plans = list(others.values())
    place = next((i for i, plan in enumerate(plans) if str(plan) == str(winner)), len(plans))
    if place == len(plans):
        plans.append(winner)
    with tempfile.TemporaryDirectory() as folder:
        workspace = make_workspace(Path(folder) / "model", recipe, plans)
        measured = measure_plans(workspace, plans, rounds=ROUNDS)
    return measured[place], dict(zip(others, measured, strict=False))


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
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        recipe.model(*recipe.args)
    return float(counter.get_total_flops())


def _rows(
    name: str,
    found: Measured,
    others: dict[str, Measured],
    operations: float,
    peaks: dict[str, float],
) -> list[Row]:
    rows = []
    for label, other in others.items():
        if other.timing is None:
            rows.append(Row(f"{name}: {label}", f"failed: {other.failure[:60]}"))
            continue
        figure = f"{other.timing.median * 1e3:.3g} ms, min {other.timing.minimum * 1e3:.3g}"
        rows.append(Row(f"{name}: {label}", figure))
    assert found.timing is not None, found.failure
    times = {label: other.timing.median for label, other in others.items() if other.timing}
    best = min(times, key=lambda label: times[label])
    ratios = sorted(
        one / other for one, other in zip(found.rounds, others[best].rounds, strict=True)
    )
    low, middle, high = _interval(ratios)
    figure = f"{found.timing.median * 1e3:.3g} ms, {found.ratio:.2f}x eager: {found.model}"
    rows.append(Row(f"{name}: tune", figure))
    what = f"{name}: tune over the best other ({best})"
    ok = middle <= SLACK or low <= 1.0
    rows.append(Row(what, f"{middle:.2f} ({low:.2f}..{high:.2f})", f"<= {SLACK}", ok))
    speed = operations / found.timing.median
    of = "int8" if ":int8" in found.model else "fp32"
    bound = name.startswith("ResNet-50, error")
    share = speed / peaks[of]
    target = (f">= {PEAK:.0%}", share >= PEAK) if bound else ("", True)
    rows.append(Row(f"{name}: share of the {of} peak", f"{share:.0%}", *target))
    return rows


def _interval(ratios: list[float]) -> tuple[float, float, float]:
    timing = Timing(tuple(ratios))
    low, high = timing.interval
    return low, timing.median, high


def srcnn() -> modelport.Recipe:
    """The trained network, at one size."""
    model = load_recipe(EXAMPLES / "srcnn" / "recipe.py").model
    picture = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0)) * 255
    return modelport.Recipe(model, (picture,), input_names=["input"], output_names=["output"])


def _images(factory: Callable[[], torch.nn.Module], size: int) -> Callable[[], modelport.Recipe]:
    def make() -> modelport.Recipe:
        picture = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
        return modelport.Recipe(factory(), (picture,), input_names=["image"])

    return make


def _tagger() -> modelport.Recipe:
    tokens = torch.randint(0, 20000, (8, 64), generator=torch.Generator().manual_seed(0))
    return modelport.Recipe(tagger(), (tokens,), input_names=["tokens"])


def _encoder() -> modelport.Recipe:
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(512, 8, 2048, batch_first=True)
    model = torch.nn.TransformerEncoder(layer, 6, enable_nested_tensor=False).eval()
    return modelport.Recipe(model, (torch.randn(1, 128, 512),), input_names=["x"])


MODELS: dict[str, Callable[[], modelport.Recipe]] = {
    "SRCNN x3 of 256x256": srcnn,
    "ResNet-50": _images(resnet50, 224),
    "ViT-12/384": _images(vit_s16, 224),
    "U-Net of 256x256": _images(unet, 256),
    "LSTM tagger of 8x64": _tagger,
    "encoder of 6 layers": _encoder,
}
