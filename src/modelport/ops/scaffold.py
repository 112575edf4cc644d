"""Folders of operators: reading them, and writing a new one."""

from __future__ import annotations

import os
from pathlib import Path

from modelport import source_location
from modelport.errors import ModelportError, OperatorError, UsageError
from modelport.ops import registry
from modelport.ops.declaration import Operator
from modelport.ops.schema import split_name
from modelport.ops.templates import render
from modelport.recipe import run_file

_WRITTEN = {
    "op.py": "op.py.jinja",
    "kernel.cpp": "kernel.cpp.jinja",
    "kernel.cu": "kernel.cu.jinja",
    "test_{name}.py": "test_op.py.jinja",
}


def load_folder(folder: str | os.PathLike[str]) -> list[Operator]:
    """Reads the declarations of a folder: its ``op.py``, or those of the folders in it.

    Args:
        folder: The folder.

    Returns:
        The operators declared there, by name.

    Raises:
        UsageError: There is no such folder, or no ``op.py`` in it.
        OperatorError: A declaration is wrong, or its file fails.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"no such folder: {folder}")
    own = folder / "op.py"
    files = [own] if own.is_file() else sorted(folder.glob("*/op.py"))
    if not files:
        raise UsageError(
            f"{folder} has no operators",
            why="neither it nor a folder in it has an op.py",
            fix="`modelport ops new domain::name` writes one",
        )
    found: list[Operator] = []
    for file in files:
        _run(file.resolve())
        found += [item for item in registry.declared() if item.folder == file.resolve().parent]
    if not found:
        raise UsageError(f"{folder} declares no operator", fix="decorate one: @modelport.operator")
    return found


def _run(file: Path) -> None:
    try:
        run_file(file)
    except ModelportError:
        raise
    except Exception as error:  # the author's file may raise anything
        raise OperatorError(
            f"{file} fails: {type(error).__name__}: {error}",
            where=source_location.of_error(error) or str(file),
        ) from error


def write_folder(qualified_name: str, parent: str | os.PathLike[str] = ".") -> Path:
    """Writes the folder of a new operator that builds and passes its test as it stands.

    Args:
        qualified_name: ``domain::name``.
        parent: Where to write the folder, which gets the operator's name.

    Returns:
        The folder.

    Raises:
        OperatorError: The name is none.
        UsageError: The folder is there already.
    """
    domain, name = split_name(qualified_name)
    folder = Path(parent) / name
    try:
        folder.mkdir()
    except FileExistsError as error:
        raise UsageError(f"{folder} is there already", fix="choose another name") from error
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror}") from error
    for file, template in _WRITTEN.items():
        text = render(template, domain=domain, name=name)
        (folder / file.format(name=name)).write_text(text, encoding="utf-8")
    return folder
