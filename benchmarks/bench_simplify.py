"""Simplifying against onnxslim, onnxsim and ONNX Runtime's basic optimisation, file to file"""

from __future__ import annotations

import collections
import importlib
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

import modelport
from benchmarks.interleave import Row, interleave
from tests.models.decoder import Decoder
from tests.models.resnet import resnet50
from tests.models.vit import vit_s16
from tests.models.weights import randomize

ROUNDS = 3
DYNAMIC = torch.export.Dim.DYNAMIC
IMAGES = (2, 3, 224, 224)
LAYERS = 21
"""Layers of the decoder, with which its graph has some 5,000 nodes."""

Inputs = dict[str, np.ndarray[Any, Any]]


def run() -> list[Row]:
    """Every model as torch.onnx.export writes it, without torch's own optimisation."""
    warnings.simplefilter("ignore")
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title, export in (
            ("ResNet-50", _images(resnet50)),
            ("ViT-S/16, 12 blocks", _images(vit_s16)),
            (f"decoder of {LAYERS} layers", _export_decoder),
        ):
            path = folder / "model.onnx"
            rows += _measure(title, path, export(path))
    return rows


def _measure(title: str, path: Path, inputs: Inputs) -> list[Row]:
    output = path.with_name("simplified.onnx")
    ways = _ways(path, output)
    rows = [Row(f"{title}: nodes exported (constants included)", str(_nodes(path, True)))]
    rows.append(Row(f"{title}: nodes exported", str(_nodes(path))))
    expected = _run(path, inputs)
    nodes, errors = {}, {}
    for name, way in ways.items():
        output.unlink(missing_ok=True)
        way()
        nodes[name], errors[name] = _nodes(output), _error(expected, _run(output, inputs))
    timings = interleave(ways, rounds=ROUNDS)
    for name in ways:
        figure = f"{timings[name].median:.2f} s, {nodes[name]} nodes, error {errors[name]:.1e}"
        rows.append(Row(f"{title}: {name}", figure))
    own = nodes.pop("modelport")
    best = min(nodes.values())
    rows.append(Row(f"{title}: nodes against the best other", f"{own}", f"<= {best}", own <= best))
    if "onnxslim" in timings:
        ratio = timings["modelport"].median / timings["onnxslim"].median
        what = f"{title}: time against onnxslim"
        rows.append(Row(what, f"{ratio:.2f}x", "<= 1.0x", ratio <= 1.0))
    error = errors["modelport"]
    rows.append(Row(f"{title}: results equal", f"{error:.1e}", "<= 1e-4", error <= 1e-4))
    return rows


def _ways(path: Path, output: Path) -> dict[str, Callable[[], object]]:
    """From file to file, each without a comparison of the outputs; those that are installed."""
    ways: dict[str, Callable[[], object]] = {
        "modelport": lambda: modelport.simplify(path, check=False).model.save(output),
        "ONNX Runtime, basic": lambda: _runtime(path, output),
    }
    for name, way in (
        ("onnxslim", lambda module: onnx.save(module.slim(str(path)), output)),
        ("onnxsim", lambda module: onnx.save(module.simplify(onnx.load(path))[0], output)),
    ):
        try:
            module = importlib.import_module(name)
        except ImportError:
            print(f"{name} is not installed: pip install 'modelport[bench]'")
            continue
        ways[name] = lambda way=way, module=module: way(module)
    return ways


def _runtime(path: Path, output: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(output)
    options.log_severity_level = 4
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _nodes(path: Path, constants: bool = False) -> int:
    counts: collections.Counter[str] = collections.Counter()

    def count(graph: onnx.GraphProto) -> None:
        for node in graph.node:
            counts[node.op_type] += 1
            for attribute in node.attribute:
                for inner in (attribute.g, *attribute.graphs):
                    count(inner)

    count(onnx.load(path, load_external_data=False).graph)
    return counts.total() - (0 if constants else counts["Constant"])


def _run(path: Path, inputs: Inputs) -> list[np.ndarray[Any, Any]]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def _error(expected: list[Any], actual: list[Any]) -> float:
    """The largest error of an output as a whole, relative to it."""
    worst = 0.0
    for one, other in zip(expected, actual, strict=True):
        scale = np.linalg.norm(one.astype(np.float64))
        worst = max(worst, float(np.linalg.norm(one.astype(np.float64) - other) / scale))
    return worst


def _images(factory: Callable[[], torch.nn.Module]) -> Callable[[Path], Inputs]:
    def export(path: Path) -> Inputs:
        torch.manual_seed(0)
        example = torch.randn(IMAGES)
        _export(factory(), (example,), ["image"], ({0: DYNAMIC},), path)
        return {"image": torch.randn(3, *IMAGES[1:]).numpy()}

    return export


def _export_decoder(path: Path) -> Inputs:
    model = randomize(Decoder(vocabulary=1000, width=64, depth=LAYERS, heads=4))
    names = ["tokens", *(f"{kind}{i}" for i in range(LAYERS) for kind in ("key", "value"))]
    cached = {0: DYNAMIC, 2: DYNAMIC}
    shapes = ({0: DYNAMIC, 1: DYNAMIC}, [(cached, cached) for _ in range(LAYERS)])
    example = (torch.randint(0, 1000, (2, 3)), model.random_past(2, 5))
    _export(model, example, names, shapes, path)
    past = [array.numpy() for pair in model.random_past(3, 7, seed=1) for array in pair]
    tokens = torch.randint(0, 1000, (3, 2)).numpy()
    return dict(zip(names, [tokens, *past], strict=True))


def _export(model: Any, args: Any, names: list[str], shapes: Any, path: Path) -> None:
    torch.onnx.export(
        model,
        args,
        str(path),
        opset_version=18,
        input_names=names,
        dynamic_shapes=shapes,
        dynamo=True,
        optimize=False,
        external_data=False,
        verbose=False,
    )
