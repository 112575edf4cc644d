"""int8: agreement with float32 on unseen inputs, speed by backend, and the memory of calibrating"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

import modelport
from benchmarks.interleave import Row
from modelport.deployment import Plan
from modelport.deployment.exporter import proven_attempt
from modelport.precision import Quantization, form_for
from modelport.target import Target
from modelport.tuning import make_workspace, measure_plans
from tests.models.resnet import resnet50
from tests.models.vit import vit_s16
from tests.precision.memory import cases
from tests.precision.unseen import worst_cosine

ROUNDS = int(os.environ.get("MODELPORT_BENCH_ROUNDS", "15"))
IMAGES = 80
"""Of these, every fifth is held out, so that 64 are calibrated on."""

LEAST = {"resnet50": 0.999, "vit": 0.998}
MODELS: dict[str, Callable[[], torch.nn.Module]] = {"resnet50": resnet50, "vit": vit_s16}
MANY = int(os.environ.get("MODELPORT_BENCH_IMAGES", "1000"))
"""Images to calibrate on for the memory."""
IN_8_BITS = [Target("onnxruntime", precision="int8"), Target("openvino", precision="int8")]
OTHERS = [
    Target("onnxruntime"),
    Target("openvino"),
    Target("openvino", precision="bf16"),
]


def run() -> Iterator[Row]:
    """Both models in the form of every backend, then the memory."""
    for part in PARTS.values():
        yield from part()


def _model(name: str) -> Iterator[Row]:
    warnings.simplefilter("ignore")
    net, plans = MODELS[name]().eval(), [Plan(target) for target in OTHERS]
    recipe = modelport.Recipe(net, (torch.zeros(1, 3, 224, 224),), input_names=["image"])
    model = modelport.export(recipe, probes=False)
    for target in IN_8_BITS:
        form = form_for(target)
        result = modelport.quantize(
            model, lambda: cases(IMAGES), form=form, max_drop=1 - LEAST[name]
        )
        cosine = worst_cosine(net, result.model)
        ok = cosine >= LEAST[name]
        what = f"{name}, {form}: cosine on unseen inputs"
        yield Row(what, f"{cosine:.5f}", f">= {LEAST[name]}", ok)
        yield Row(f"{name}, {form}: in float32", _kept(result))
        plans.append(Plan(target, model=result.model))
    with tempfile.TemporaryDirectory() as folder:
        workspace = make_workspace(Path(folder) / "model", proven_attempt(recipe).attempt, plans)
        measured = measure_plans(workspace, plans, rounds=ROUNDS)
    for item in measured:
        if item.timing is None or item.ratio is None:
            yield Row(f"{name}: {item.model}", f"failed: {item.failure[:60]}")
            continue
        figure = f"{item.timing.median * 1e3:.3g} ms, {1 / item.ratio:.2f}x the time of the first"
        yield Row(f"{name}: {item.model}", figure)


def _kept(result: Quantization) -> str:
    kept = ", ".join(result.kept) or "none"
    return f"{len(result.kept)} of {result.operators}: {kept}"


def _memory() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "resnet50.onnx"
        image = torch.zeros(1, 3, 224, 224)
        modelport.export(resnet50(), (image,), input_names=["image"]).save(path)
        one, many = _peak(path, "run", 1), _peak(path, "calibrate", MANY)
    bound = 2 * one + 300
    figure = f"{many:.0f} MB, one run {one:.0f} MB"
    what = f"peak memory of calibrating on {MANY} images"
    yield Row(what, figure, f"<= {bound:.0f} MB", many <= bound)


def _peak(path: Path, what: str, count: int) -> float:
    command = [sys.executable, "-m", "tests.precision.memory", str(path), what, str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


PARTS: dict[str, Callable[[], Iterator[Row]]] = {
    **{name: functools.partial(_model, name) for name in MODELS},
    "memory": _memory,
}
