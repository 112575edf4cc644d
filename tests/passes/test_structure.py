"""Every rewrite is one class in a file of its own, with the signature of `Rewrite`."""

from __future__ import annotations

import importlib
import inspect
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import modelport
from modelport.passes import Rewrite

ROOT = Path(modelport.__file__).parent
BASES = {"modelport.passes.base", "modelport.passes.expand"}
FOLDERS = ("passes", "backends/*/legalize")
QUIET = {"InferShapes", "ResolveSequences"}
"""Passes that decide nothing about single nodes: they run others."""


def rewrites() -> Iterator[type[Rewrite]]:
    for folder in FOLDERS:
        for path in sorted(ROOT.glob(f"{folder}/*.py")):
            name = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
            module = importlib.import_module(name.removesuffix(".__init__"))
            for item in vars(module).values():
                is_pass = inspect.isclass(item) and issubclass(item, Rewrite)
                if is_pass and item.__module__ == name and name not in BASES:
                    yield item


REWRITES = list(rewrites())


def test_a_file_has_one_class() -> None:
    found = defaultdict(list)
    for kind in REWRITES:
        found[kind.__module__].append(kind.__name__)
    assert len(found) > 20
    assert {name: kinds for name, kinds in found.items() if len(kinds) > 1} == {}


@pytest.mark.parametrize("kind", REWRITES, ids=lambda kind: kind.__name__)
def test_signature_and_log(kind: type[Rewrite]) -> None:
    assert list(inspect.signature(kind.call).parameters) == ["self", "model"]
    source = inspect.getsource(inspect.getmodule(kind) or kind)
    inherited = not any("call" in vars(part) for part in [kind])
    assert inherited or ".decided(" in source or kind.__name__ in QUIET


def test_all_other_files_define_none() -> None:
    known = {Path(inspect.getfile(kind)) for kind in REWRITES}
    known |= {ROOT / "passes" / "base.py", ROOT / "passes" / "expand.py"}
    other = [path for path in ROOT.rglob("*.py") if path not in known]
    words = ("(Rewrite):", "(Expansion):")
    assert [path for path in other if any(word in path.read_text() for word in words)] == []
