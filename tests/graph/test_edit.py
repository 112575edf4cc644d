from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import modelport
from modelport import Model, UsageError
from modelport import graph as g
from tests.conftest import RunCli
from tests.support import onnx_text

BODY = """g (float[N, 6] x) => (float[N, 3] y)
    <float[6, 3] w = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18}> {
    a = Relu(x)
    b = MatMul(a, w)
    y = Neg(b)
}"""
X = np.arange(-6, 6, dtype=np.float32).reshape(2, 6)
W = np.arange(1, 19, dtype=np.float32).reshape(6, 3)


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return Model.load(onnx_text(tmp_path / "given.onnx", BODY))


def ran(model: Model, folder: Path, x: np.ndarray[Any, Any] = X) -> np.ndarray[Any, Any]:
    path = model.save(folder / "edited.onnx")
    assert modelport.check(path).ok
    (result,) = modelport.load(path).run({model.signature.inputs[0].name: x}).values()
    return result


def test_names_change_and_swap(model: Model, tmp_path: Path) -> None:
    new = g.rename(model, {"x": "picture", "a": "b", "b": "a"})
    assert [v.name for n in new.ir.graph for v in n.outputs] == ["b", "a", "y"]
    np.testing.assert_array_equal(ran(new, tmp_path), -(np.maximum(X, 0) @ W))
    assert model.signature.inputs[0].name == "x"
    with pytest.raises(UsageError, match="'y' is in use"):
        g.rename(model, {"a": "y"})


def test_a_weight_is_replaced(model: Model, tmp_path: Path) -> None:
    new = g.replace_initializer(model, "w", W[:, :2].copy())
    assert new.signature.outputs[0].shape == ("N", 2)
    np.testing.assert_array_equal(ran(new, tmp_path), -(np.maximum(X, 0) @ W[:, :2]))
    with pytest.raises(UsageError, match="the new values are"):
        g.replace_initializer(model, "w", W.astype(np.float64))
    with pytest.raises(UsageError, match="no initializer 'v'"):
        g.replace_initializer(model, "v", W)


def test_dimensions_become_fixed_and_dynamic(model: Model, tmp_path: Path) -> None:
    fixed = g.set_dims(model, {"x": {0: 2}})
    assert [spec.shape for spec in fixed.signature.outputs] == [(2, 3)]
    again = g.set_dims(fixed, {"x": {0: "rows"}})
    assert again.signature.outputs[0].shape == ("rows", 3)
    np.testing.assert_array_equal(ran(again, tmp_path, X[:1]), -(np.maximum(X[:1], 0) @ W))
    for dims in ({"z": {0: 1}}, {"x": {2: 1}}, {"x": {0: -1}}):
        with pytest.raises(UsageError):
            g.set_dims(model, dims)


@pytest.mark.parametrize("version", [17, 21])
def test_the_opset_changes(model: Model, version: int, tmp_path: Path) -> None:
    new = g.convert_opset(model, version)
    assert new.opset == version
    np.testing.assert_array_equal(ran(new, tmp_path), -(np.maximum(X, 0) @ W))


@pytest.mark.parametrize("tensor", ["x", "a", "y"])
def test_a_node_is_put_in_and_taken_out(model: Model, tensor: str, tmp_path: Path) -> None:
    new = g.insert_node(model, tensor, "LeakyRelu", attributes={"alpha": 0.5}, name="new")
    leaky = lambda v: np.where(v < 0, v * np.float32(0.5), v)  # noqa: E731
    steps = {"x": leaky(X), "a": X, "y": X}
    expected = -(np.maximum(steps[tensor], 0) @ W)
    expected = leaky(expected) if tensor == "y" else expected
    np.testing.assert_allclose(ran(new, tmp_path), expected)
    assert new.signature.outputs[0].name == "y"
    back = g.delete_node(new, "new")
    np.testing.assert_array_equal(ran(back, tmp_path), -(np.maximum(X, 0) @ W))
    assert g.diff(model, back).same


def test_a_node_is_replaced(model: Model, tmp_path: Path) -> None:
    new = g.replace_node(model, "a", "Abs")
    np.testing.assert_array_equal(ran(new, tmp_path), -(np.abs(X) @ W))
    with pytest.raises(UsageError, match="no node 'z'"):
        g.replace_node(model, "z", "Abs")


def test_a_node_that_changes_the_type_cannot_be_taken_out(tmp_path: Path) -> None:
    body = "g (float[2] x) => (int64[2] y) { a = Cast<to=7>(x) y = Neg(a) }"
    with pytest.raises(UsageError, match="cannot be removed"):
        g.delete_node(Model.load(onnx_text(tmp_path / "m.onnx", body)), "a")


def test_targets_of_reshapes_change_by_a_rule(tmp_path: Path) -> None:
    body = """g (float[1, 1, 3, 3] x) => (float[p, q] y) <int64[2] s = {-1, 9}> {
        a = Relu(x) y = Reshape(a, s) }"""
    given = Model.load(onnx_text(tmp_path / "m.onnx", body))
    seen = []

    def rule(name: str, shape: tuple[int, ...] | None) -> list[int]:
        seen.append((name, shape))
        return [-1, 25]

    new = g.reshape_targets(g.set_dims(given, {"x": {2: 5, 3: 5}}), rule)
    assert seen == [("y", (-1, 9))]
    assert new.signature.outputs[0].shape == (1, 25)
    x = np.arange(25, dtype=np.float32).reshape(1, 1, 5, 5)
    np.testing.assert_array_equal(ran(new, tmp_path, x), x.reshape(1, 25))
    with pytest.raises(UsageError, match="may be -1"):
        g.reshape_targets(given, lambda name, shape: [-1, -1])


def test_many_changes_on_the_command_line(model: Model, tmp_path: Path, cli: RunCli) -> None:
    np.save(tmp_path / "w.npy", 2 * W)
    done = cli(
        "graph", "edit", tmp_path / "given.onnx", "-o", tmp_path / "out.onnx",
        "--rename", "x=input", "--initializer", f"w={tmp_path / 'w.npy'}", "--dim", "input:0=2",
        "--insert", "a", "LeakyRelu", '{"alpha": 0.5}', "--replace", "a", "Abs", "--opset", "19",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    result = modelport.load(tmp_path / "out.onnx").run({"input": X})["y"]
    np.testing.assert_allclose(result, -(np.abs(X) @ (2 * W)))
    assert onnx.load(tmp_path / "out.onnx").opset_import[0].version == 19
    for wrong in (["--dim", "x=2"], ["--insert", "a"], ["--replace", "a", "B", "{"], []):
        refused = cli("graph", "edit", tmp_path / "given.onnx", "-o", tmp_path / "no.onnx", *wrong)
        assert refused.code == 2
    assert not (tmp_path / "no.onnx").exists()
