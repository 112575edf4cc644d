"""Graphs in the standard's textual form, and their outputs before and after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

import modelport
from modelport import Simplification
from tests.support import Arrays, onnx_text


def run(path: Path, inputs: Arrays) -> list[np.ndarray[Any, Any]]:
    """Runs a file in ONNX Runtime as it stands."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def simplified(
    folder: Path, body: str, *inputs: Arrays, opset: int = 18, **options: Any
) -> Simplification:
    """Simplifies a graph, and holds that it gives what it gave on inputs.

    Args:
        folder: Where to write files.
        body: The graph; see `tests.support.onnx_text`.
        inputs: Arrays by name, of every run.
        opset: Opset of the default domain.
        options: Those of `modelport.simplify`; `dims` are declared ranges.
    """
    dims = {dim.name: dim for dim in options.pop("dims", ())}
    before = onnx_text(folder / "before.onnx", body, opset)
    model = modelport.Model.load(before)
    result = modelport.simplify(modelport.Model(model.ir, dims), **options)
    after = result.model.save(folder / "after.onnx")
    for given in inputs:
        for one, other in zip(run(before, given), run(after, given), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    return result


def array(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """Normal values, float32."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
