"""Engines of TensorRT for RTX built without a GPU: seconds, bytes and layers"""

from __future__ import annotations

import datetime
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import modelport
from benchmarks.interleave import Row
from modelport.errors import BuildError
from modelport.signature import TensorSpec
from tests.backends.tensorrt.recipes import RECIPES

CAPABILITIES = ("sm75", "sm86", "sm89", "sm120")
PRECISIONS = ("fp32", "fp16")
PAGE = Path(__file__).parent.parent / "docs" / "tensorrt-engines.md"
"""The table, for people: written where every engine was built that can be."""

_HEAD = """# Engines of TensorRT for RTX

Real architectures, built ahead of time for four generations of GPUs on a machine without one: how
long a build took, how large the engine is, and how many layers it has. `python -m benchmarks
tensorrt` wrote this page on {date}, with TensorRT for RTX {tensorrt}, PyTorch {torch} and ONNX
{onnx}, on {cores} cores that {load:.1f} processes wanted at a time.

"""


def run() -> list[Row]:
    """Every architecture, for one compute capability at a time."""
    warnings.simplefilter("ignore")
    rows: list[Row] = []
    lines = ["| model | inputs | precision | " + " | ".join(CAPABILITIES) + " |"]
    lines.append("|---" * (3 + len(CAPABILITIES)) + "|")
    with tempfile.TemporaryDirectory() as folder:
        for name, recipe in RECIPES.items():
            # That the graph is the model is proven elsewhere.
            model = modelport.export(recipe(), probes=False)
            inputs = ", ".join(map(str, _shapes(model)))
            for precision in PRECISIONS:
                built = {item: _row(model, name, precision, item, folder) for item in CAPABILITIES}
                rows += built.values()
                lines.append(_line(name, inputs, precision, built))
    if all(row.ok for row in rows):
        PAGE.write_text(_head() + "\n".join(lines) + "\n", encoding="utf-8")
    return rows


def _row(model: modelport.Model, name: str, precision: str, capability: str, folder: str) -> Row:
    """A refusal is good where the hardware has no such arithmetic: sm75, float32 products."""
    what = f"{name}, {precision}, {capability}"
    target = f"tensorrt-rtx:{precision}:{capability}"
    try:
        built = modelport.compile(model, Path(folder) / "m.engine", target=target)
    except BuildError as error:
        refused = capability == "sm75" and "float32 matrix product" in error.why
        return Row(what, "no float32 products" if refused else error.what, "builds", refused)
    size = f"{built.record.size / 1e6:.1f} MB"
    figure = f"{built.seconds:.1f} s, {size}, {len(built.record.layers)} layers"
    return Row(what, figure, "builds")


def _line(name: str, inputs: str, precision: str, built: Mapping[str, Row]) -> str:
    return f"| {name} | {inputs} | {precision} | {' | '.join(r.figure for r in built.values())} |"


def _shapes(model: modelport.Model) -> Iterator[str]:
    """The inputs with the ranges that an engine is for; those alike are said once."""
    seen: dict[str, int] = {}
    for spec in model.signature.inputs:
        seen[_shape(spec, model)] = seen.get(_shape(spec, model), 0) + 1
    return (f"{count} x {text}" if count > 1 else text for text, count in seen.items())


def _shape(spec: TensorSpec, model: modelport.Model) -> str:
    sizes = []
    for dim in spec.shape or ():
        known = model.signature.dims.get(dim) if isinstance(dim, str) else None
        sizes.append(str(dim) if known is None else f"{known.min}..{known.max}")
    return "x".join(sizes)


def _head() -> str:
    import onnx
    import tensorrt_rtx
    import torch

    return _HEAD.format(
        date=datetime.date.today().isoformat(),
        tensorrt=tensorrt_rtx.__version__,
        torch=torch.__version__,
        onnx=onnx.__version__,
        cores=os.cpu_count(),
        load=os.getloadavg()[2],
    )
