"""Cost of opening a bundle, its checksums included: interleaved with the bare session"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

import modelport
from benchmarks.interleave import Row, Timing, interleave
from modelport.backends.base import GRAPH, Artifact
from modelport.bundle import BundleWriter, Manifest
from modelport.signature import Signature, TensorSpec

ROUNDS = 15
_WIDTH = 1024
_LAYERS = 25
"""As many float32 matrices of `_WIDTH` squared as make 100 MB."""


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        directory, packed = folder / "large.port", folder / "packed.port"
        for path in (directory, packed):
            _write(path, zipped=path is packed)
        graph = str(directory / GRAPH)
        timings = interleave(
            {
                "bare session": lambda: onnxruntime.InferenceSession(
                    graph, providers=["CPUExecutionProvider"]
                ),
                "directory": lambda: modelport.load(directory),
                "zip": lambda: modelport.load(packed),
                "checksums alone": lambda: _open(directory),
            },
            rounds=ROUNDS,
        )
    bare = timings["bare session"]
    rows = [Row(f"{what}, 100 MB, median", _text(timing)) for what, timing in timings.items()]
    ratio = timings["directory"].median / bare.median
    rows.append(Row("directory over the bare session", f"{ratio:.2f}x", "< 1.3x", ratio < 1.3))
    rows.append(Row("zip over the bare session", f"{timings['zip'].median / bare.median:.2f}x"))
    return rows


def _open(path: Path) -> None:
    with modelport.Bundle.open(path):
        pass


def _text(timing: Timing) -> str:
    return f"{timing.median * 1e3:.0f} ms (minimum {timing.minimum * 1e3:.0f})"


def _write(path: Path, *, zipped: bool) -> None:
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(
            (rng.standard_normal((_WIDTH, _WIDTH)) / np.sqrt(_WIDTH)).astype(np.float32), f"w{i}"
        )
        for i in range(_LAYERS)
    ]
    nodes = []
    for i in range(_LAYERS):
        previous = f"r{i - 1}" if i else "x"
        nodes.append(helper.make_node("MatMul", [previous, f"w{i}"], [f"m{i}"]))
        nodes.append(helper.make_node("Relu", [f"m{i}"], [f"r{i}"]))
    last = f"r{_LAYERS - 1}"
    graph = helper.make_graph(
        nodes,
        "large",
        [helper.make_tensor_value_info("x", 1, ["n", _WIDTH])],
        [helper.make_tensor_value_info(last, 1, ["n", _WIDTH])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    shape = ("n", _WIDTH)
    signature = Signature(
        (TensorSpec("x", "float32", shape),), (TensorSpec(last, "float32", shape),)
    )
    with BundleWriter(path, zipped=zipped) as writer:
        (writer.folder / GRAPH).parent.mkdir()
        onnx.save(model, writer.folder / GRAPH)
        artifacts = {modelport.Target("onnxruntime"): Artifact(GRAPH)}
        writer.commit(Manifest("large", signature, artifacts))
