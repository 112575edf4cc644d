"""Compiling for PyTorch: the exported program is what is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelport.backends.base import Artifact, Capabilities, program_of
from modelport.backends.torch.engine import COMPILE, load_program
from modelport.backends.torch.program import program_code
from modelport.errors import BuildError, RunError
from modelport.files.trusted_code import user_code
from modelport.progress import Progress
from modelport.target import Target

CAPABILITIES = Capabilities(
    devices=("cpu", "cuda"),
    precisions={"fp32": "graph"},
    dtypes=(
        *("float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64"),
        *("uint8", "uint16", "uint32", "uint64", "bool"),
    ),
    dynamic_shapes="any",
    custom_operators=("kernels",),
    threads=True,
    providers=(COMPILE,),
    tunable={"channels_last": (False, True), "freezing": (False, True)},
)


def compile(
    folder: Path,
    graph: str,
    target: Target,
    libraries: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Artifact:
    """Keeps the program beside the graph; see `modelport.backends.Backend.compile`.

    With ``torch.compile`` it is run once on its example: only then is it compiled.

    Libraries of operators are not for PyTorch: it takes those that are declared.
    """
    path = program_of(graph)
    if target.provider == COMPILE:
        _require_compilable(folder, graph, target, options)
    return Artifact(graph, (path,), dict(options or {}))


def _require_compilable(
    folder: Path, graph: str, target: Target, options: Mapping[str, Any] | None
) -> None:
    program = load_program(program_code(folder, graph, user_code), target, options)
    try:
        program.run(program.examples)
    except RunError as error:
        raise BuildError(
            f"PyTorch cannot run {Path(program_of(graph)).name} as {target}",
            why=error.why,
            fix="torch.compile needs g++; deploy for torch without compile",
        ) from error
