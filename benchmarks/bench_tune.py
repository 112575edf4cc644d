"""What tune chooses at fp32 against eager, torch.compile, ONNX Runtime and OpenVINO as they come"""

from __future__ import annotations

import math
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

import modelport
from benchmarks.interleave import Row
from modelport.compilation import Plan
from modelport.recipe import load_recipe
from modelport.target import Target
from modelport.tuning import Measured, Timing, make_workspace, measure_plans, tune
from tests.models.resnet import resnet50
from tests.models.tagger import tagger
from tests.models.unet import unet
from tests.models.vit import vit_s16

BUDGET = float(os.environ.get("MODELPORT_BENCH_BUDGET", "300"))
ROUNDS = 15
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
EXAMPLES = Path(__file__).parent.parent / "examples"


def run() -> list[Row]:
    """Every model at one size, the winner of `tune` and the others in turn."""
    warnings.simplefilter("ignore")
    chosen = os.environ.get("MODELPORT_BENCH_MODELS")
    rows, ratios = [], []
    for name, make in MODELS.items():
        if chosen and name not in chosen.split(","):
            continue
        recipe = make()
        found, others = _measure(recipe)
        rows += _rows(name, found, others)
        if found.ratio is not None:
            ratios.append(found.ratio)
    if ratios:
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        rows.append(Row("all: times faster than eager, geometric mean", f"{mean:.2f}x"))
    return rows


def _measure(recipe: modelport.Recipe) -> tuple[Measured, dict[str, Measured]]:
    """The winner, measured anew beside the others."""
    winner = tune(recipe, budget=BUDGET).winner.plan
    plans = list(OTHERS.values())
    if winner not in plans:
        plans.append(winner)
    with tempfile.TemporaryDirectory() as folder:
        workspace = make_workspace(Path(folder) / "model", recipe, plans)
        measured = measure_plans(workspace, plans, rounds=ROUNDS)
    return measured[plans.index(winner)], dict(zip(OTHERS, measured, strict=False))


def _rows(name: str, found: Measured, others: dict[str, Measured]) -> list[Row]:
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
    return rows


def _interval(ratios: list[float]) -> tuple[float, float, float]:
    timing = Timing(tuple(ratios))
    low, high = timing.interval
    return low, timing.median, high


def _srcnn() -> modelport.Recipe:
    recipe = load_recipe(EXAMPLES / "srcnn" / "recipe.py")
    picture = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0)) * 255
    return recipe.with_options(args=(picture,))


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
    "SRCNN x3 of 256x256": _srcnn,
    "ResNet-50": _images(resnet50, 224),
    "ViT-12/384": _images(vit_s16, 224),
    "U-Net of 256x256": _images(unet, 256),
    "LSTM tagger, 8x64": _tagger,
    "encoder of 6 layers, 128x512": _encoder,
}
