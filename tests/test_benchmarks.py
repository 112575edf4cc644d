"""Benchmarks, the zoo and the examples import what is there: a name that moves is seen."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OWN = ("benchmarks", "examples", "modelport", "tests", "zoo")
FILES = [path for name in ("benchmarks", "examples", "zoo") for path in (ROOT / name).rglob("*.py")]


def own_imports(path: Path) -> Iterator[tuple[str, str]]:
    """Modules of this repository that a file imports, each with a name of it or an empty text."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found = [(node.module, item.name) for item in node.names]
        elif isinstance(node, ast.Import):
            found = [(item.name, "") for item in node.names]
        else:
            continue
        yield from (pair for pair in found if pair[0].split(".")[0] in OWN)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imported_names_exist(path: Path) -> None:
    for module, name in own_imports(path):
        try:
            imported = importlib.import_module(module)
        except ModuleNotFoundError as error:
            # Libraries of peers are in environments of their own.
            if str(error.name).split(".")[0] in OWN:
                raise
            continue
        if name and not hasattr(imported, name):
            importlib.import_module(f"{module}.{name}")
