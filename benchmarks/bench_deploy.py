"""Cost of a deployment over a bare torch.onnx.export of the same model: SRCNN, warm"""

from __future__ import annotations

import contextlib
import io
import statistics
import tempfile
import time
from pathlib import Path

import torch

import modelport
from benchmarks.interleave import Row
from modelport.recipe import load_recipe

ROUNDS = 5
RECIPE = Path(__file__).parent.parent / "examples" / "srcnn" / "recipe.py"
VERIFICATION = ("run the original", "verify")


def run() -> list[Row]:
    recipe = load_recipe(RECIPE)
    bare: list[float] = []
    stages: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ROUNDS + 1):
            bare.append(_bare_export(recipe, Path(folder) / "bare.onnx"))
            stages.append(dict(modelport.deploy(recipe, Path(folder) / "srcnn.port").seconds))
    # The first round pays for imports and caches on both sides.
    bare, stages = bare[1:], stages[1:]
    export = statistics.median(bare)
    rows = [Row("bare torch.onnx.export, median", f"{export:.2f} s")]
    for name in stages[0]:
        seconds = statistics.median(stage[name] for stage in stages)
        rows.append(Row(f"deploy: {name}", f"{seconds:.2f} s, {seconds / export:.2f}x"))
    ratio = statistics.median(
        sum(seconds for name, seconds in stage.items() if name not in VERIFICATION) / base
        for stage, base in zip(stages, bare, strict=True)
    )
    rows.append(Row("deploy without verification", f"{ratio:.2f}x", "< 1.5x", ratio < 1.5))
    return rows


def _bare_export(recipe: modelport.Recipe, path: Path) -> float:
    dynamic = torch.export.Dim.DYNAMIC
    begin = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(
            recipe.model,
            recipe.args,
            str(path),
            opset_version=18,
            input_names=list(recipe.input_names or ()),
            output_names=list(recipe.output_names or ()),
            dynamic_shapes=({0: dynamic, 2: dynamic, 3: dynamic},),
        )
    return time.perf_counter() - begin
