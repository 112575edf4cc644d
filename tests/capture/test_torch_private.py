"""Fails loudly when a private part of PyTorch moves, and when another package uses one."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.utils._pytree as pytree

import modelport
from modelport import ExportError
from modelport.capture.torch_private import access, graphs, programs, registries


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
        r"(?<![\"'`\w.])torch(\.\w+)*\._(?!_)\w|from torch(\.\w+)*\._|"
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


def test_exports_share_what_torch_reads_of_its_translations_and_nothing_else():
    registry = access.resolve("translations")
    build = vars(registry)["from_torchlib"]
    with registries.reused(18):
        one, other = registry.from_torchlib(18), registry().from_torchlib(opset_version=18)
        one.register_op(torch.ops.aten.tril.default, lambda x, diagonal=0: x)
        lower = registry.from_torchlib(20)
    assert vars(registry)["from_torchlib"] is build
    assert one.opset_version == 18
    assert lower.opset_version == 20
    assert len(one.get_decomps(torch.ops.aten.tril.default)) == 2
    assert len(other.get_decomps(torch.ops.aten.tril.default)) == 1
    plain = registry.from_torchlib(18)
    assert {name: len(found) for name, found in plain.functions.items()} == {
        name: len(found) for name, found in other.functions.items()
    }


@pytest.mark.parametrize("opset", [18, 21, 23])
def test_registries_that_share_their_reading_are_torchs_own(opset):
    own = access.resolve("translations").from_torchlib(opset)
    shared = registries.registry_for(opset, {})
    assert shared.opset_version == own.opset_version
    assert [_facts(metas) for metas in shared.functions.items()] == [
        _facts(metas) for metas in own.functions.items()
    ]
    (one,) = registries.registry_for(18, {}).get_decomps(torch.ops.aten.tril.default)
    assert shared.get_decomps(torch.ops.aten.tril.default) == [one]


def test_registries_know_operators_declared_after_others_of_their_namespace():
    script = """
import importlib
import torch
from modelport.capture.torch_private import access, registries

library = torch.library.Library("quantized_decomposed", "FRAGMENT")
library.define("own(Tensor x) -> Tensor")
registries.registry_for(18, {})
importlib.import_module("torch.ao.quantization.fx._decomposed")
own = access.resolve("translations").from_torchlib(18)
shared = registries.registry_for(18, {})
assert any("quantized_decomposed" in str(target) for target in own.functions)
assert set(shared.functions) == set(own.functions)
"""
    # torch declares these operators once a process, at the import.
    subprocess.run([sys.executable, "-c", script], check=True)


def _facts(entry):
    target, metas = entry
    return target, [
        (m.onnx_function, m.fx_target, str(m.signature), m.opset_introduced, m.is_complex)
        for m in metas
    ]


def test_composite_operators_are_made_once_an_export(monkeypatch):
    utils = importlib.import_module("torch._export.utils")
    expected = utils._collect_all_valid_cia_ops()
    made = []
    genuine = utils._materialize_cpp_cia_ops
    monkeypatch.setattr(utils, "_materialize_cpp_cia_ops", lambda: made.append(genuine()))
    replaced = utils._materialize_cpp_cia_ops
    for exports in (1, 2):
        with registries.reused(18):
            for _ in range(2):
                assert utils._collect_all_valid_cia_ops() == expected
        assert len(made) == exports
    assert utils._materialize_cpp_cia_ops is replaced


def test_containers_without_keys_have_indices():
    class Answer:
        def __init__(self, one, two):
            self.one, self.two = one, two

    pytree.register_pytree_node(
        Answer, lambda answer: ([answer.one, answer.two], None), lambda pair, _: Answer(*pair)
    )
    leaves, structure = programs.flatten_with_paths({"a": Answer(1, [2, 3])})
    assert leaves == [(("a", 0), 1), (("a", 1, 0), 2), (("a", 1, 1), 3)]
    assert programs.unflatten([5, 6, 7], structure)["a"].two == [6, 7]
