"""Is an ONNX file a valid model, and does a runtime take it?"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelport.errors import UsageError

if TYPE_CHECKING:
    import onnx

_PLACES = tuple(
    re.compile(pattern)
    for pattern in (
        r"[Nn]ame: ([^\s)]+)(?:\)| OpType)",
        r"[Nn]ode,? \(\"?([^\s\"()]+)\"?[,)]",
        r"(?:op_type:|OpType: )(\w+)",
        r"In Node, \(\"\", (\w+)",
        r"(?:Op|Optype) \((\w+)\)",
        r"error: (\S+)\(-?\d+\) is not a registered",
    )
)
"""Patterns of ONNX and ONNX Runtime for the name of a node, or of its operator."""


@dataclass(frozen=True)
class Problem:
    """One reason why a model is not valid.

    Attributes:
        source: Who says so: ``checker`` (ONNX's own rules), ``shapes`` (type and shape inference)
            or ``onnxruntime`` (the model does not load).
        where: The node concerned, where it is named.
        message: What is wrong.
    """

    source: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.source}{f' at {self.where}' if self.where else ''}: {self.message}"


@dataclass(frozen=True)
class CheckResult:
    """Result of `check`.

    Attributes:
        path: The file.
        problems: Why the model is not valid; empty for a valid one.
    """

    path: Path
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """True if there are no problems."""
        return not self.problems


def check(path: str | os.PathLike[str], *, libraries: Iterable[Path] = ()) -> CheckResult:
    """Checks an ONNX file by the standard's rules and by loading it in ONNX Runtime.

    Args:
        path: The file; external data is looked for beside it.
        libraries: Libraries of operators that the graph uses.

    Returns:
        The problems found. Types and shapes are inferred in full and compared with those declared.

    Raises:
        UsageError: The file does not exist or is not ONNX at all.
    """
    path = Path(path)
    _read(path)
    problems = [*_check_standard(path), *_check_loads(path, libraries)]
    return CheckResult(path, tuple(problems))


def _read(path: Path) -> onnx.ModelProto:
    import google.protobuf.message
    import onnx

    if not path.is_file():
        raise UsageError(f"no such file: {path}")
    try:
        model = onnx.load(path, load_external_data=False)
    except google.protobuf.message.DecodeError as error:
        raise UsageError(
            f"{path} is not a readable ONNX model",
            why=str(error),
            fix="the file is truncated or of another format: write or copy it again",
        ) from error
    if not model.HasField("graph"):
        raise UsageError(
            f"{path} is not a readable ONNX model",
            why="it has no graph",
            fix="the file is truncated or of another format: write or copy it again",
        )
    return model


def _check_standard(path: Path) -> list[Problem]:
    import onnx

    try:
        # It includes the other one, which is asked only for what is wrong.
        onnx.checker.check_model(path, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        return [_first_problem(path, str(error))]
    return []


def _first_problem(path: Path, of_shapes: str) -> Problem:
    import onnx

    try:
        onnx.checker.check_model(path)
    except onnx.checker.ValidationError as error:
        return _problem("checker", str(error))
    return _problem("shapes", of_shapes)


def _check_loads(path: Path, libraries: Iterable[Path]) -> list[Problem]:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as states

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    own = (value for value in vars(states).values() if isinstance(value, type))
    failures: tuple[type[Exception], ...] = (
        *(value for value in own if issubclass(value, Exception)),
        ValueError,
    )
    try:
        for library in libraries:
            options.register_custom_ops_library(str(library))
        onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except failures as error:
        return [_problem("onnxruntime", str(error))]
    return []


def _problem(source: str, text: str) -> Problem:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    message = " ".join(line for line in lines if not line.startswith("==> Context"))
    matches = (pattern.search(text) for pattern in _PLACES)
    where = next((match.group(1) for match in matches if match), "")
    return Problem(source, where, message)
