"""The exported program that this backend compiles and opens."""

from __future__ import annotations

from pathlib import Path

from modelport.backends.base import program_of
from modelport.errors import BuildError
from modelport.files.trusted_code import CodeSource, TrustedCode


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
