"""ONNX's own backend node tests: each a model with inputs and expected outputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.backend.test.loader
import onnx.numpy_helper
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as states


@dataclass(frozen=True)
class NodeCase:
    """A case of the suite.

    Attributes:
        name: Its name in ``onnx.backend.test``.
        model: The model.
        data_sets: Inputs, in the order of the graph's inputs, of every data set.
    """

    name: str
    model: onnx.ModelProto
    data_sets: tuple[tuple[Any, ...], ...]


def node_cases() -> list[NodeCase]:
    """All cases of the suite whose data are at hand, by name."""
    found = onnx.backend.test.loader.load_model_tests(kind="node")
    return sorted(filter(None, map(_read, found)), key=lambda case: case.name)


def _read(case: Any) -> NodeCase | None:
    folder = Path(case.model_dir) if case.model_dir else None
    if folder is None:
        return NodeCase(case.name, case.model, tuple(tuple(map(_plain, given)) for given, _ in case.data_sets))
    model = onnx.load(folder / "model.onnx")
    sets = []
    for data in sorted(folder.glob("test_data_set_*")):
        names = [value for value in model.graph.input]
        sets.append(
            tuple(_array(data / f"input_{i}.pb", value.type) for i, value in enumerate(names))
        )
    return NodeCase(case.name, model, tuple(sets))


def _plain(item: Any) -> Any:
    if isinstance(item, onnx.TensorProto):
        return onnx.numpy_helper.to_array(item)
    return np.asarray(item) if isinstance(item, np.generic) else item


def _array(path: Path, kind: onnx.TypeProto) -> Any:
    content = path.read_bytes()
    if kind.HasField("sequence_type"):
        sequence = onnx.SequenceProto.FromString(content)
        return onnx.numpy_helper.to_list(sequence)
    if kind.HasField("optional_type"):
        optional = onnx.OptionalProto.FromString(content)
        return onnx.numpy_helper.to_optional(optional)
    return onnx.numpy_helper.to_array(onnx.TensorProto.FromString(content))


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession | None:
    """Opens a model in ONNX Runtime; None where it does not support it."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except errors():
        return None


@cache
def errors() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises."""
    own = (value for value in vars(states).values() if isinstance(value, type))
    return (
        *(value for value in own if issubclass(value, Exception)),
        ValueError,
        RuntimeError,
        TypeError,
    )


def outputs(opened: onnxruntime.InferenceSession, given: tuple[Any, ...]) -> list[Any] | None:
    """Runs a model on one data set; None where ONNX Runtime cannot."""
    names = [value.name for value in opened.get_inputs()]
    feed = {name: item for name, item in zip(names, given, strict=False) if item is not None}
    try:
        return list(opened.run(None, feed))
    except errors():
        return None


def differences(expected: Any, actual: Any, place: str = "") -> Iterator[str]:
    """Where two results of ONNX Runtime differ beyond rounding."""
    if isinstance(expected, list):
        if not isinstance(actual, list) or len(expected) != len(actual):
            yield f"{place}: other length"
            return
        for index, (one, other) in enumerate(zip(expected, actual, strict=True)):
            yield from differences(one, other, f"{place}[{index}]")
    elif expected is None or actual is None:
        if expected is not actual:
            yield f"{place}: one is None"
    elif not isinstance(expected, np.ndarray) or expected.dtype.kind in "OSU":
        if not np.array_equal(expected, actual):
            yield f"{place}: {expected!r} became {actual!r}"
    elif expected.shape != actual.shape or expected.dtype != actual.dtype:
        yield f"{place}: {expected.dtype}{expected.shape} became {actual.dtype}{actual.shape}"
    elif not np.allclose(
        np.asarray(expected, np.complex128 if expected.dtype.kind == "c" else np.float64),
        np.asarray(actual, np.complex128 if expected.dtype.kind == "c" else np.float64),
        rtol=1e-5, atol=1e-6, equal_nan=True,
    ):
        yield f"{place}: values differ"
