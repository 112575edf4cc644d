"""ONNX's node cases, and one run of one of them."""

from __future__ import annotations

import functools
import hashlib
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from modelport import Model, Target
from modelport.backends import get_backend, open_engine
from modelport.backends.base import Artifact
from modelport.errors import ModelportError
from modelport.ir.random_operators import draws
from modelport.passes.legalization import prepare

BACKENDS = ("onnxruntime", "openvino")
WAYS = ("load", "deploy")
"""The file as it is, and the graph as `deploy` prepares and compiles it."""

_COARSE = {"float16": 4e-3, "bfloat16": 3e-2}
"""What an element may be off by, relative to the largest: two roundings of the type."""


@functools.cache
def node_cases() -> dict[str, Any]:
    """The cases by name."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {case.name: case for case in load_model_tests(kind="node")}


def digest(case: Any) -> str:
    """A hash of a case's model and data."""
    data = hashlib.sha256(case.model.SerializeToString(deterministic=True))
    for arrays in case.data_sets:
        for item in (*arrays[0], *arrays[1]):
            data.update(repr((getattr(item, "dtype", None), getattr(item, "shape", None))).encode())
            data.update(item.tobytes() if isinstance(item, np.ndarray) else repr(item).encode())
    return data.hexdigest()


def outcome(case: Any, backend: str, way: str) -> str:
    """What a backend makes of a case.

    Args:
        case: The case.
        backend: One of `BACKENDS`.
        way: One of `WAYS`.

    Returns:
        ``same``; ``differs: ...``; ``refused: ...`` with an error's first line; or ``random`` or
        ``no arrays``, where there is nothing to compare.
    """
    values = [value for arrays in case.data_sets for side in arrays for value in side]
    if not all(isinstance(value, np.ndarray | np.generic) for value in values):
        return "no arrays"
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "model.onnx"
        onnx.save(case.model, path)
        try:
            model = Model.load(path)
            if any(draws(node) for node in model.ir.graph.all_nodes()):
                return "random"
            return _compared(case, path, model, Target(backend), way)
        except ModelportError as error:
            why = f": {error.why}" if error.why else ""
            return f"refused: {error.what}{why}".replace(name, "").splitlines()[0][:200]


def _compared(case: Any, path: Path, model: Model, target: Target, way: str) -> str:
    artifact = Artifact(path.name)
    if way == "deploy":
        prepare(model, target).save(path)
        artifact = get_backend(target).compile(path.parent, path.name, target)
    engine = open_engine(path.parent, artifact, target, model.signature)
    for inputs, outputs in case.data_sets:
        names = [value.name for value in case.model.graph.input]
        given = dict(zip(names, map(np.asarray, inputs), strict=True))
        results = engine.run(given)
        wanted = dict(zip(results, map(np.asarray, outputs), strict=True))
        told = _difference(wanted, results, case.rtol, case.atol, _levels(model))
        if told:
            return f"differs: {told}"
    return "same"


def _levels(model: Model) -> int:
    """What an 8-bit result may be off by: a tie may be rounded either way."""
    graph = model.ir.graph
    rounds = any("Quantize" in node.op_type or node.op_type == "Round" for node in graph)
    return int(rounds)


def _difference(
    wanted: Mapping[str, np.ndarray],
    found: Mapping[str, np.ndarray],
    rtol: float,
    atol: float,
    levels: int,
) -> str:
    for name, expected in wanted.items():
        actual = found[name]
        if (expected.shape, _kind(expected)) != (actual.shape, _kind(actual)):
            return f"{name} is {actual.dtype}{list(actual.shape)}, not {expected.dtype}"
        if expected.dtype.kind in "OUS":
            if expected.astype(str).tolist() != actual.astype(str).tolist():
                return f"{name} has other strings"
            continue
        if expected.dtype.kind == "c":
            one, other = expected, actual
        else:
            one, other = expected.astype(np.float64), actual.astype(np.float64)
        finite = np.isfinite(one)
        largest = np.abs(one[finite]).max(initial=0.0)
        coarse = _COARSE.get(expected.dtype.name, 0.0)
        allowed = max(atol, 1e-6 * largest, coarse * largest)
        if expected.dtype in (np.int8, np.uint8):
            allowed = max(allowed, levels)
        if not np.allclose(other, one, max(rtol, coarse), allowed, equal_nan=True):
            with np.errstate(all="ignore"):
                off = np.nanmax(np.abs(one - other), initial=0.0)
            return f"{name} by {off:.2g} of {largest:.2g}"
    return ""


def _kind(array: np.ndarray) -> str:
    return "text" if array.dtype.kind in "OUS" else array.dtype.name
