"""Provenance is written out; what decides is typed."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
import torch

import modelport
from modelport import Model
from modelport.facts import CaptureFacts
from tests.support import block_recipe

ROOT = Path(modelport.__file__).parent
READERS = {"bundle/manifest.py", "report/html.py", "cli/export.py", "cli/deploy.py"}
"""Where provenance is read from a file into typed values, or shown to people."""


def keys_read(source: str) -> list[int]:
    """Lines that read a key of a provenance."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            lines += [node.lineno] if is_provenance(node.value) else []
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            reads = node.func.attr in ("get", "setdefault", "pop", "items", "values")
            lines += [node.lineno] if reads and is_provenance(node.func.value) else []
        elif isinstance(node, ast.Compare):
            lines += [node.lineno for item in node.comparators if is_provenance(item)]
    return lines


def is_provenance(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name == "provenance"


def test_nothing_decides_by_a_key_of_the_provenance() -> None:
    found = {
        path.relative_to(ROOT).as_posix(): lines
        for path in sorted(ROOT.rglob("*.py"))
        if (lines := keys_read(path.read_text(encoding="utf-8")))
    }
    assert set(found) <= READERS, found


@pytest.mark.parametrize(
    "line",
    [
        "x = model.provenance['capture']['strategy']",
        "x = attempt.model.provenance.get('usual_sizes', {})",
        "x = 'opset' in provenance",
    ],
)
def test_a_decision_would_be_seen(line: str) -> None:
    assert keys_read(line) == [1]


def test_facts_go_through_json_and_along_with_copies() -> None:
    model = modelport.export(block_recipe())
    assert model.facts.strategy in ("dynamo", "trace")
    assert model.facts.usual_sizes
    again = CaptureFacts.from_json(json.loads(json.dumps(model.facts.to_json())))
    assert again.to_provenance() == model.facts.to_provenance()
    assert model.copy().facts == model.facts
    simple = modelport.simplify(model, check=False).model
    assert simple.facts == model.facts
    assert {**model.provenance, **model.facts.to_provenance()} == model.provenance


def test_what_decides_is_no_longer_in_the_provenance() -> None:
    class Halved(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x / 2

    recipe = modelport.Recipe(Halved(), (torch.rand(3, 4),), dynamic={"x": {0: "n"}})
    model = modelport.export(recipe)
    sizes = model.facts.usual_sizes
    model.provenance.clear()
    assert model.facts.usual_sizes == sizes == {"n": 3}


def test_a_file_says_where_it_is_from(tmp_path: Path) -> None:
    path = modelport.export(block_recipe()).save(tmp_path / "m.onnx")
    model = Model.load(path)
    assert model.facts.source == str(path)
    assert model.provenance == {"source": str(path)}
