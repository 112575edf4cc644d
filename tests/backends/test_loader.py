"""One function opens engines: no other module calls a backend's loader."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import modelport
from modelport.backends import BACKENDS

ROOT = Path(modelport.__file__).parent
LOADER = ROOT / "backends" / "loader.py"
FOLDERS = {f"modelport.backends.{name.replace('-', '_')}" for name in BACKENDS}


def backend_loads(source: str) -> list[int]:
    """Lines that call the loader of a backend, or import it."""
    tree = ast.parse(source)
    backends = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.NamedExpr) and is_backend(node.value)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "load":
            known = isinstance(node.value, ast.Name) and node.value.id in backends
            lines += [node.lineno] if known or is_backend(node.value) else []
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(tuple(FOLDERS)):
            lines += [node.lineno for alias in node.names if alias.name == "load"]
    return lines


def is_backend(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name | ast.Attribute)
        and ast.unparse(node.func).endswith("get_backend")
    )


def test_only_the_loader_calls_the_loader_of_a_backend() -> None:
    inside = {ROOT / "backends" / name.replace("-", "_") / "backend.py" for name in BACKENDS}
    found = {
        path.relative_to(ROOT).as_posix(): lines
        for path in sorted(ROOT.rglob("*.py"))
        if path not in inside and (lines := backend_loads(path.read_text(encoding="utf-8")))
    }
    assert list(found) == ["backends/loader.py"]
    assert len(found["backends/loader.py"]) == 2


@pytest.mark.parametrize(
    "line",
    [
        "get_backend(target).load(folder, artifact, target)",
        "backend = registry.get_backend(name); run = backend.load",
        "from modelport.backends.onnxruntime.engine import load",
    ],
)
def test_another_caller_would_be_seen(line: str) -> None:
    assert backend_loads(f"def f():\n    {line}\n") == [2]
