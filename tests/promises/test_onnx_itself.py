"""M10: write, read, print and check a graph by hand; cut a submodel; expose inner tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest

import modelport
from modelport.graph import build
from tests.conftest import RunCli

NAMES = ("a", "x", "b")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    g = build(opset=18, name="linear")
    a, x, b = (g.input(name, "float32", [10, 10]) for name in NAMES)
    g.output(g.op("Add", g.op("Mul", a, x, name="c"), b), "output")
    return g.model().save(tmp_path / "linear.onnx")


@pytest.fixture
def values() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal((10, 10)).astype(np.float32) for name in NAMES}


def test_written_by_hand_it_is_valid_and_computes(
    path: Path, values: dict[str, np.ndarray], cli: RunCli
) -> None:
    onnx.checker.check_model(onnx.load(path), full_check=True)
    assert cli("check", path).code == 0
    expected = values["a"] * values["x"] + values["b"]
    np.testing.assert_allclose(modelport.load(path).run(values)["output"], expected, rtol=1e-6)


def test_printed_it_is_read_back(path: Path, cli: RunCli) -> None:
    printed = cli("graph", "print", path)
    assert printed.code == 0
    again = onnx.parser.parse_model(printed.out)
    assert [node.op_type for node in again.graph.node] == ["Mul", "Add"]
    assert [value.name for value in again.graph.input] == list(NAMES)


def test_a_submodel_from_one_edge_to_another(
    path: Path, values: dict[str, np.ndarray], cli: RunCli
) -> None:
    out = path.with_name("part.onnx")
    ran = cli("graph", "extract", path, "--from", "c", "b", "--to", "output", "-o", out)
    assert (ran.code, ran.err) == (0, "")
    assert cli("check", out).code == 0
    inputs = {"c": values["x"], "b": values["b"]}
    result = modelport.load(out).run(inputs)["output"]
    np.testing.assert_array_equal(result, values["x"] + values["b"])


@pytest.mark.parametrize(
    ("begin", "message"), [(["c"], "'b' is missing"), (["c", "b", "a"], "'a': superfluous")]
)
def test_missing_and_superfluous_inputs_are_refused(
    path: Path, begin: list[str], message: str, cli: RunCli
) -> None:
    out = path.with_name("part.onnx")
    ran = cli("graph", "extract", path, "--from", *begin, "--to", "output", "-o", out)
    assert ran.code == 2
    assert message in ran.err
    assert not out.exists()


def test_an_inner_tensor_becomes_an_output(
    path: Path, values: dict[str, np.ndarray], cli: RunCli
) -> None:
    out = path.with_name("shown.onnx")
    assert cli("graph", "expose", path, "--tensor", "c", "-o", out).code == 0
    results = modelport.load(out).run(values)
    assert list(results) == ["output", "c"]
    np.testing.assert_array_equal(results["c"], values["a"] * values["x"])


def test_attributes_structure_and_weights_are_shown(tmp_path: Path, cli: RunCli) -> None:
    g = build()
    weight = g.weight("w", np.arange(8, dtype=np.float32).reshape(2, 1, 2, 2))
    x = g.input("x", "float32", [1, 1, 4, 4])
    g.output(g.op("Conv", x, weight, strides=[2, 2], name="y"))
    path = g.model().save(tmp_path / "conv.onnx")
    node = cli("graph", "print", path, "--node", "y").out
    assert "attribute strides = [2, 2]" in node
    assert "min 0, max 7, mean 3.5" in node
    assert "output y: float32[1, 2, 2, 2]" in node
    found = cli("graph", "inspect", path, "--nodes").out
    assert "8 parameters; 32 MACs" in found
