"""A backend is named in its own folder, and where users type its name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import modelport
from modelport.backends import BACKENDS

ROOT = Path(modelport.__file__).parent
FOLDERS = {name.replace("-", "_") for name in BACKENDS}
TEXTS = set(BACKENDS) - {"torch"}
"""Texts that are names of backends; "torch" alone is the package."""
EXCEPTIONS = {
    "backends/loader.py": "the constant of the reference runtime",
    "backends/registry.py": "the registration",
    "capture/rewriters/library/topk.py": "a rewrite of a PyTorch function for one backend's limit",
    "cli/compile.py": "prints the layers of TensorRT's engines",
    "cli/ops_folders.py": "`--tensorrt` builds plugins",
    "conformance/plugins.py": "`prove_plugins`, which is public",
    "deployment/deployer.py": "the default target, as `help` prints it",
    "deployment/engine_file.py": "returns the record of TensorRT's engines",
    "graph/checker.py": "the rule that users read: the reference runtime cannot load a graph",
    "target.py": "words that users type in a target",
}
"""Files that name backends, with the reason."""


def uses(path: Path) -> Iterator[str]:
    """Names of backends in the code of a file: texts and imports, but not docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value.partition(":")[0]
            named = name in TEXTS or (name in BACKENDS and name != node.value)
            if named and id(node) not in documentation:
                yield f"line {node.lineno}: {node.value!r}"
        elif isinstance(node, ast.Compare) and isinstance(node.left, ast.Attribute):
            if node.left.attr == "backend" and ast.unparse(node.comparators[0]) == "'torch'":
                yield f"line {node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.ImportFrom) and node.module:
            pieces = node.module.split(".")
            if pieces[:2] == ["modelport", "backends"] and set(pieces[2:3]) & FOLDERS:
                yield f"line {node.lineno}: from {node.module}"


def sources() -> list[Path]:
    own = {ROOT / "backends" / name for name in FOLDERS}
    return [path for path in sorted(ROOT.rglob("*.py")) if own.isdisjoint(path.parents)]


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_other_file_names_a_backend(path: Path) -> None:
    if path.relative_to(ROOT).as_posix() not in EXCEPTIONS:
        assert list(uses(path)) == []


def test_every_exception_is_one() -> None:
    assert [name for name in EXCEPTIONS if not list(uses(ROOT / name))] == []


def test_a_use_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(
        '"""torch"""\nfrom modelport.backends.openvino.core import HINTS\n'
        'if target.backend == "tensorrt-rtx" or str(target) == "torch:compile":\n    pass\n'
        'torch = import_module("torch") if plan.target.backend == "torch" else None\n'
    )
    assert sorted(uses(path)) == [
        "line 2: from modelport.backends.openvino.core",
        "line 3: 'tensorrt-rtx'",
        "line 3: 'torch:compile'",
        "line 5: plan.target.backend == 'torch'",
    ]
