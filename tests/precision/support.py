"""Graphs in 16 bits: converted, checked, run beside the original."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

import modelport
from modelport.precision import convert, widen
from tests.support import Arrays, onnx_text


def run(path: Path, inputs: Arrays) -> list[np.ndarray[Any, Any]]:
    """Runs a file in ONNX Runtime, with its optimizations."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def converted(
    folder: Path,
    body: str,
    inputs: Arrays,
    precision: str = "fp16",
    opset: int = 18,
    tolerance: float = 5e-3,
    **options: Any,
) -> modelport.Model:
    """Converts a graph, and holds that the result is valid and gives what it gave.

    Args:
        folder: Where to write files.
        body: The graph; see `tests.support.onnx_text`.
        inputs: Arrays by name.
        precision: ``fp16`` or ``bf16``, which is allowed eight times the error.
        opset: Opset of the default domain.
        tolerance: Root mean square of the error over that of the output.
        options: Those of `modelport.precision.convert`.
    """
    before = onnx_text(folder / "before.onnx", body, opset)
    model = modelport.Model.load(before)
    result = convert(model, precision, **options)
    after = result.save(folder / "after.onnx")
    onnx.checker.check_model(after, full_check=True)
    runnable = widen(result).save(folder / "runnable.onnx")
    for one, other in zip(run(before, inputs), run(runnable, inputs), strict=True):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        limit = tolerance if precision == "fp16" else 8 * tolerance
        assert relative_error(other, one) <= limit
    return result


def relative_error(actual: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> float:
    """Root mean square of the error over that of what is expected, in float64."""
    wanted = expected.astype(np.float64)
    error = np.sqrt(np.mean((actual.astype(np.float64) - wanted) ** 2))
    return float(error / max(np.sqrt(np.mean(wanted**2)), 1e-30))


def dtypes(model: modelport.Model) -> dict[str, str]:
    """The element type of the first output of every node, by its operator (the last one)."""
    return {node.op_type: str(node.outputs[0].dtype) for node in model.ir.graph.all_nodes()}
