"""Cost of findings and probes over a bare torch.onnx.export, in CPU seconds of one thread"""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch

import modelport
from benchmarks.interleave import Row
from tests.models.resnet import resnet50
from tests.models.vit import vit_s16

ROUNDS = 5
SHAPE = (2, 3, 224, 224)


def run() -> list[Row]:
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    # Threads of OpenMP wait busily where the machine is shared, and their time says nothing.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _measure_all()
    finally:
        torch.set_num_threads(threads)


def _measure_all() -> list[Row]:
    rows = []
    for name, factory in (("ResNet-50", resnet50), ("ViT-S/16", vit_s16)):
        rows += _measure(name, factory())
    return rows


def _measure(name: str, model: Any) -> list[Row]:
    example = torch.randn(SHAPE)
    samples: dict[str, list[float]] = {"bare": [], "findings": [], "probes": []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        ways = {
            "bare": lambda: _bare(model, example, path),
            "findings": lambda: _modelport(model, example, path, probes=False),
            "probes": lambda: _modelport(model, example, path, probes=True),
        }
        # The first round pays for imports and caches of every way.
        for counts in (False, *[True] * ROUNDS):
            for way, function in ways.items():
                begin = time.process_time()
                function()
                if counts:
                    samples[way].append(time.process_time() - begin)
    medians = {way: statistics.median(taken) for way, taken in samples.items()}
    rows = [Row(f"{name}: bare torch.onnx.export, median", f"{medians['bare']:.2f} s")]
    for way, bound in (("findings", 1.15), ("probes", 2.2)):
        ratios = [taken / bare for taken, bare in zip(samples[way], samples["bare"], strict=True)]
        ratio = statistics.median(ratios)
        what = f"{name}: modelport.export with {way}"
        figure = f"{medians[way]:.2f} s, {ratio:.2f}x"
        rows.append(Row(what, figure, f"<= {bound}x", ratio <= bound))
    return rows


def _bare(model: torch.nn.Module, example: torch.Tensor, path: Path) -> None:
    shapes = ({0: torch.export.Dim.DYNAMIC},)
    torch.onnx.export(
        model, (example,), str(path), opset_version=18, dynamic_shapes=shapes, verbose=False
    )


def _modelport(model: torch.nn.Module, example: torch.Tensor, path: Path, probes: bool) -> None:
    dynamic = {"x": {0: "batch"}}
    captured = modelport.export(
        model, (example,), input_names=["x"], dynamic=dynamic, probes=probes
    )
    captured.save(path)
