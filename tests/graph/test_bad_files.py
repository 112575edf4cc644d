"""Every command says clearly what is wrong with a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import onnx
import pytest

from modelport import Model, UsageError
from tests.conftest import RunCli
from tests.graph.bad_files import BAD, nested, valid
from tests.support import onnx_text


def commands(path: Path) -> dict[str, list[Any]]:
    """Every command of the group, on a file."""
    out = path.parent / "out"
    return {
        "inspect": ["inspect", path],
        "print": ["print", path],
        "node": ["print", path, "--node", "y"],
        "draw": ["draw", path, "-o", out.with_suffix(".html")],
        "svg": ["draw", path, "-o", out.with_suffix(".svg")],
        "diff": ["diff", path, path],
        "trt": ["lint", path, "--target", "tensorrt"],
        "ort": ["lint", path, "--target", "onnxruntime"],
        "extract": ["extract", path, "--from", "x", "--to", "a", "-o", out.with_suffix(".onnx")],
        "expose": ["expose", path, "--all", "-o", out.with_suffix(".onnx")],
        "partition": ["partition", path, "--at", "a", "-o", out],
        "rename": ["edit", path, "--rename", "a=b", "-o", out.with_suffix(".onnx")],
        "dim": ["edit", path, "--dim", "x:0=N", "-o", out.with_suffix(".onnx")],
        "insert": ["edit", path, "--insert", "a", "Neg", "-o", out.with_suffix(".onnx")],
        "replace": ["edit", path, "--replace", "y", "Neg", "-o", out.with_suffix(".onnx")],
        "delete": ["edit", path, "--delete", "y", "-o", out.with_suffix(".onnx")],
        "opset": ["edit", path, "--opset", "19", "-o", out.with_suffix(".onnx")],
    }


@pytest.mark.parametrize("kind", BAD)
def test_bad_file_is_refused_with_a_reason(kind: str, tmp_path: Path) -> None:
    write, message = BAD[kind]
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "bad.onnx"
    write(path)
    with pytest.raises(UsageError) as caught:
        Model.load(path)
    assert message in str(caught.value)


def test_every_command_refuses_a_bad_file(tmp_path: Path, cli: RunCli) -> None:
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "bad.onnx"
    BAD["cyclic"][0](path)
    before = sorted(os.listdir(tmp_path / "in"))
    for name, words in commands(path).items():
        ran = cli("graph", *words)
        assert (ran.code, ran.out) == (2, ""), name
        assert "in a circle" in ran.err
        assert "'Mul', 'back'" in ran.err or "'back', 'Mul'" in ran.err
    assert sorted(os.listdir(tmp_path / "in")) == before


def test_every_command_takes_a_good_file(tmp_path: Path, cli: RunCli) -> None:
    path = tmp_path / "good.onnx"
    path.write_bytes(valid().SerializeToString())
    for name, words in commands(path).items():
        ran = cli("graph", *words)
        assert (ran.code, ran.err) == (0, ""), name
        assert ran.out
        ran = cli("graph", *words, "--json")
        assert ran.code == 0
        assert ran.out[0] in "[{"


def test_odd_names_are_taken_and_shown_harmlessly(tmp_path: Path, cli: RunCli) -> None:
    odd = 'a b/\n"<é>\x1b[31m\u202e]]>--'
    path = tmp_path / "odd.onnx"
    model = valid()
    model.graph.node[0].name = odd + "1"
    model.graph.node[0].output[0] = model.graph.node[1].input[0] = odd
    path.write_bytes(model.SerializeToString())
    for words in (["inspect", "--nodes"], ["print"], ["print", "--node", odd]):
        ran = cli("graph", words[0], path, *words[1:])
        assert (ran.code, ran.err) == (0, "")
        assert "\x1b" not in ran.out
        assert "\u202e" not in ran.out
    for suffix in ("html", "svg"):
        assert cli("graph", "draw", path, "-o", tmp_path / f"g.{suffix}").code == 0
    done = cli("graph", "extract", path, "--from", "x", "--to", odd, "-o", tmp_path / "e.onnx")
    assert done.code == 0
    assert onnx.load(tmp_path / "e.onnx").graph.output[0].name == odd


def test_nodes_of_one_name_are_told_apart_by_their_outputs(tmp_path: Path, cli: RunCli) -> None:
    path = tmp_path / "m.onnx"
    model = valid()
    for node in model.graph.node:
        node.name = "twin"
    path.write_bytes(model.SerializeToString())
    refused = cli("graph", "print", path, "--node", "twin")
    assert refused.code == 2
    assert "'a', 'y'" in refused.err
    assert "Mul" in cli("graph", "print", path, "--node", "a").out
    assert cli("graph", "draw", path, "-o", tmp_path / "g.html").code == 0


def test_unsorted_nodes_are_sorted(tmp_path: Path) -> None:
    model = valid()
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(reversed(nodes))
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    assert [node.op_type for node in Model.load(path).ir.graph] == ["Mul", "Relu"]


def test_nesting_that_protobuf_reads_is_taken(tmp_path: Path, cli: RunCli) -> None:
    body = "g (float[2] x, bool c) => (float[2] y) { y = Relu(x) }"
    for _ in range(12):
        inner = body.partition("=>")[2].strip()
        body = (
            "g (float[2] x, bool c) => (float[2] y) { y = If (c) <then_branch = t () => "
            f"{inner}, else_branch = e () => (float[2] y) {{ y = Neg(x) }}> }}"
        )
    path = onnx_text(tmp_path / "m.onnx", body)
    assert "25 nodes, 24 graphs inside" in cli("graph", "inspect", path).out
    assert cli("graph", "draw", path, "-o", tmp_path / "g.svg").code == 0
    assert len(nested(3)) > 100
