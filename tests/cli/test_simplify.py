from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.conftest import RunCli
from tests.passes.support import array, run
from tests.support import onnx_text, snapshot

BODY = """g (float[n, 2] x) => (float[n, 2] y) {
    e = Exp(x)
    i = Identity(e)
    y = Relu(i)
}"""


def test_simplify_writes_a_model_and_says_what_it_did(cli: RunCli, tmp_path: Path) -> None:
    model, output = onnx_text(tmp_path / "m.onnx", BODY), tmp_path / "s.onnx"
    ran = cli("graph", "simplify", model, "-o", output)
    assert ran.code == 0, ran.err
    assert "3 nodes became 2" in ran.out
    assert "agree on 3 drawn cases" in ran.out
    x = array(3, 2)
    np.testing.assert_array_equal(run(output, {"x": x})[0], run(model, {"x": x})[0])


def test_simplify_as_json(cli: RunCli, tmp_path: Path) -> None:
    model, output = onnx_text(tmp_path / "m.onnx", BODY), tmp_path / "s.onnx"
    ran = cli("graph", "simplify", model, "-o", output, "--json", "--no-check")
    told = json.loads(ran.out)
    assert ran.code == 0
    assert told["nodes"] == {"before": 3, "after": 2}
    assert told["operators"]["after"] == {"Exp": 1, "Relu": 1}
    assert told["verification"] is None


def test_simplify_in_place(cli: RunCli, tmp_path: Path) -> None:
    model = onnx_text(tmp_path / "m.onnx", BODY)
    assert cli("graph", "simplify", model, "-o", model).code == 0
    assert list(snapshot(tmp_path)) == ["m.onnx"]


def test_simplify_refuses_what_is_no_model_and_writes_nothing(cli: RunCli, tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(b"\xff" * 1000)
    ran = cli("graph", "simplify", model, "-o", tmp_path / "s.onnx")
    assert ran.code == 2
    assert "not a readable ONNX model" in ran.err
    assert list(snapshot(tmp_path)) == ["m.onnx"]


def test_simplify_says_that_a_model_draws_random_numbers(cli: RunCli, tmp_path: Path) -> None:
    body = "g (float[2] x) => (float[2] y) { r = RandomNormalLike(x) y = Add(x, r) }"
    model = onnx_text(tmp_path / "m.onnx", body)
    ran = cli("graph", "simplify", model, "-o", tmp_path / "s.onnx")
    assert ran.code == 2
    assert "--no-check" in ran.err
    assert list(snapshot(tmp_path)) == ["m.onnx"]
