"""Tests import a name from where it is public, so that they hold whatever moves inside."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

from tests.surface.record import FOLDER

TESTS = Path(__file__).parents[1]


def public_names() -> dict[str, set[str]]:
    """The recorded public names by module."""
    found = {}
    for path in (FOLDER / "python").glob("*.pyi"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        names = {item.name for item in body if isinstance(item, ast.ClassDef | ast.FunctionDef)}
        found[path.stem] = names
    return found


def hidden(source: str, public: dict[str, set[str]]) -> Iterator[str]:
    """Imports of internal modules for a name that a package above them publishes."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("modelport."):
            continue
        module = str(node.module)
        parents = [module[:end] for end, letter in enumerate(module) if letter == "."]
        for name in {alias.name for alias in node.names} - public.get(module, set()):
            for parent in parents:
                if name in public.get(parent, ()) and _same(parent, module, name):
                    yield f"line {node.lineno}: {name} of {parent} is imported from {module}"


def _same(parent: str, module: str, name: str) -> bool:
    own, other = (getattr(importlib.import_module(item), name) for item in (parent, module))
    return own is other


def test_no_internal_module_is_imported_for_a_public_name() -> None:
    public = public_names()
    found = {
        path.relative_to(TESTS).as_posix(): lines
        for path in sorted(TESTS.rglob("*.py"))
        if path.relative_to(TESTS).parts[0] != "data"
        and (lines := list(hidden(path.read_text(encoding="utf-8"), public)))
    }
    assert found == {}


def test_one_would_be_seen() -> None:
    source = "from modelport.target import Target\nfrom modelport.errors import UsageError\n"
    public = {"modelport": {"Target"}, "modelport.errors": {"UsageError"}}
    assert list(hidden(source, public)) == [
        "line 1: Target of modelport is imported from modelport.target"
    ]
