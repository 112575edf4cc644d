"""Engines of TensorRT for RTX built without a GPU: seconds, bytes and layers"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import modelport
from benchmarks.interleave import Row
from modelport.errors import BuildError, PassError
from tests.backends.tensorrt.recipes import RECIPES

CAPABILITIES = ("sm75", "sm86", "sm89", "sm120")
PRECISIONS = ("fp32", "fp16")


def run() -> list[Row]:
    """Every architecture, for one compute capability at a time."""
    warnings.simplefilter("ignore")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, recipe in RECIPES.items():
            # That the graph is the model is proven elsewhere.
            model = modelport.export(recipe(), probes=False)
            for precision in PRECISIONS:
                for capability in CAPABILITIES:
                    target = f"tensorrt-rtx:{precision}:{capability}"
                    rows.append(_row(model, f"{name}, {precision}, {capability}", target, folder))
    return rows


def _row(model: modelport.Model, what: str, target: str, folder: str) -> Row:
    """A refusal is good where the hardware has no such arithmetic: sm75, float32 products."""
    try:
        record = modelport.compile(model, Path(folder) / "m.engine", target=target).record
    except (BuildError, PassError) as error:
        return Row(what, error.why or error.what, "builds, or sm75", "sm75" in target)
    figure = f"{record.seconds:.1f} s, {record.size:,} bytes, {len(record.layers)} layers"
    return Row(what, figure, "builds, or sm75")
