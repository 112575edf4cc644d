"""SRCNN x3 of 256x256, upsampling merged with the convolution behind it, over the engines' best"""

from __future__ import annotations

import os
import tempfile
import warnings
from pathlib import Path

import torch

import modelport
from benchmarks.interleave import Row
from benchmarks.models import srcnn
from modelport.deployment import Plan
from modelport.deployment.exporter import proven_attempt
from modelport.target import Target
from modelport.tuning import Measured, make_workspace, measure_plans

ROUNDS = int(os.environ.get("MODELPORT_BENCH_ROUNDS", "15"))
ENGINES = ("onnxruntime", "openvino")


def run() -> list[Row]:
    """The network as it was trained, and with linear upsampling in place of cubic."""
    warnings.simplefilter("ignore")
    recipe = srcnn()
    rows = _measure("cubic", recipe)
    assert isinstance(recipe.model, torch.nn.Module)
    recipe.model.img_upsampler = torch.nn.Upsample(scale_factor=3, mode="bilinear")
    return rows + _measure("linear", recipe)


def _measure(name: str, recipe: modelport.Recipe) -> list[Row]:
    rewrites: tuple[tuple[str, ...], ...] = ((), ("merge-upsampling",))
    plans = [Plan(Target(engine), rewrites=each) for engine in ENGINES for each in rewrites]
    with tempfile.TemporaryDirectory() as folder:
        workspace = make_workspace(Path(folder) / "model", proven_attempt(recipe).attempt, plans)
        measured = measure_plans(workspace, plans, rounds=ROUNDS)
    rows = [Row(f"{name}: {item.model}", f"{_median(item) * 1e3:.4g} ms") for item in measured]
    for engine, plain, merged in zip(ENGINES, measured[::2], measured[1::2], strict=True):
        what = f"{name}: merging makes {engine} faster"
        rows.append(Row(what, f"{_median(plain) / _median(merged):.2f}x"))
    ratio = min(map(_median, measured[::2])) / min(map(_median, measured[1::2]))
    rows.append(Row(f"{name}: the best merged over the best engine", f"{ratio:.2f}x"))
    return rows


def _median(item: Measured) -> float:
    assert item.timing is not None, item.failure
    return item.timing.median
