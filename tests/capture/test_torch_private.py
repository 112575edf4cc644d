"""Fails loudly when a private part of PyTorch moves, and when another package uses one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import modelport
from modelport.capture.torch_private import access, graphs
from modelport.errors import ExportError


@pytest.mark.parametrize("purpose", access.PRIVATE)
def test_every_private_part_is_where_it_was(purpose):
    assert access.resolve(purpose) is not None


def test_the_version_at_hand_was_tested():
    assert access.version() in access.TESTED
    assert access.check_version() is None


def test_another_version_is_a_finding(monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.99.1+cpu")
    finding = access.check_version()
    assert finding is not None
    assert finding.rule == "torch-untested"
    assert "2.99.1" in finding.message
    assert "2.13" in finding.message


def test_a_part_that_moved_is_an_error_that_names_it(monkeypatch):
    table = {**access.PRIVATE, "graph": ("torch._C", "Graphs.gone")}
    monkeypatch.setattr(access, "PRIVATE", table)
    access.resolve.cache_clear()
    with pytest.raises(ExportError) as error:
        graphs.new_graph()
    access.resolve.cache_clear()
    assert "torch._C.Graphs.gone" in str(error.value)
    assert "2.13" in str(error.value)


def test_shapes_of_one_graph_do_not_leak_into_the_next():
    # PyTorch keeps them in a global table by name, and names repeat.
    found = []
    for sizes in ([2, 3], [None, 4], [7, 9]):
        graph = graphs.new_graph()
        x = graph.addInput("x")
        x.setType(graphs.tensor_type(torch.float32, sizes))
        g = graphs.new_context(graph, 18)
        found.append(g.op("MatMul", x, g.op("Transpose", x, perm_i=[1, 0])).type().sizes())
    assert found == [[2, 2], None, [7, 7]]


def test_no_other_package_uses_a_private_name_of_torch():
    private = re.compile(
        r"(?<![\"'\w.])torch(\.\w+)*\._(?!_)\w|from torch(\.\w+)*\._|"
        r"\b_SingleLevelFunction|\._(schema|version|capture_strategy|registry)\b"
    )
    source = Path(modelport.__file__).parent
    found = [
        f"{path.relative_to(source)}:{number}: {line.strip()}"
        for path in source.rglob("*.py")
        if "torch_private" not in path.relative_to(source).as_posix()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if private.search(line)
    ]
    assert found == []
