"""Programs of torch.export in files: what this backend compiles and opens."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.backends.base import program_of
from modelport.errors import BuildError
from modelport.files.trusted_code import CodeSource, TrustedCode

if TYPE_CHECKING:
    import torch

_INPUTS = "modelport.inputs.json"


def save_program(program: torch.export.ExportedProgram, inputs: Sequence[str], path: Path) -> None:
    """Writes a program.

    Args:
        program: It takes tensors alone, and returns a tuple of them.
        inputs: Their names, in order.
        path: Where to write.
    """
    import torch

    torch.export.save(program, path, extra_files={_INPUTS: json.dumps(list(inputs))})


def program_code(folder: Path, graph: str, code: CodeSource) -> TrustedCode:
    """The program that a graph was captured beside.

    Args:
        folder: The folder that the graph lies in.
        graph: The graph's path in it.
        code: Opens files that are code.

    Raises:
        BuildError: There is no such file.
    """
    path = program_of(graph)
    if not (folder / path).is_file():
        raise BuildError(
            f"there is no PyTorch program beside the graph: {Path(path).name} is missing",
            fix="the torch backend runs what was captured from PyTorch: deploy from a recipe",
        )
    return code(folder, path)


def read_program(code: TrustedCode) -> tuple[Any, tuple[str, ...], tuple[torch.Tensor, ...]]:
    """Reads what `save_program` wrote.

    Returns:
        The program as a module, the names of its inputs, and example tensors.

    Raises:
        BuildError: torch cannot read it.
    """
    import torch

    files = {_INPUTS: ""}
    try:
        program = torch.export.load(io.BytesIO(code.read()), extra_files=files)
    except Exception as error:  # a zip of pickles fails in many ways
        raise BuildError(
            f"torch {torch.__version__} cannot read {code.name}",
            why=f"{type(error).__name__}: {error}".partition("\n")[0],
            fix="import what declares its custom operators, or deploy again with this torch",
        ) from error
    examples = program.example_inputs[0] if program.example_inputs else ()
    return program.module(), tuple(json.loads(files[_INPUTS])), tuple(examples)
