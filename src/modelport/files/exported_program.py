"""Programs of torch.export in files."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.errors import BuildError
from modelport.files.trusted_code import TrustedCode

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
