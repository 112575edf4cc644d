"""Common subexpressions and duplicate initializers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.helper
import pytest

import modelport
from tests.passes.support import array, run, simplified


def test_what_is_computed_twice_is_computed_once(tmp_path: Path) -> None:
    body = """g (float[2, 3] x) => (float[2, 3] y) {
        a = Softmax<axis = 1>(x)
        b = Softmax<axis = 1>(x)
        c = Softmax<axis = 0>(x)
        d = Add(a, b)
        y = Mul(d, c)
    }"""
    result = simplified(tmp_path, body, {"x": array(2, 3)})
    assert result.after == {"Softmax": 2, "Add": 1, "Mul": 1}


def test_subgraph_takes_what_the_graph_around_it_computed(tmp_path: Path) -> None:
    body = """g (float[2] x, bool c) => (float[2] y, float[2] z) {
        z = Exp(x)
        y = If(c) <
            then_branch = a () => (float[2] p) { e = Exp(x) p = Neg(e) },
            else_branch = b () => (float[2] q) { f = Exp(x) q = Abs(f) }
        >
    }"""
    inputs = [{"x": array(2), "c": np.array(value)} for value in (True, False)]
    assert simplified(tmp_path, body, *inputs).after["Exp"] == 1


@pytest.mark.parametrize(
    "step",
    ["RandomUniformLike(x)", "Bernoulli(x)", "mine.Draw(x)"],
    ids=["random", "bernoulli", "foreign"],
)
def test_chance_is_drawn_twice(tmp_path: Path, step: str) -> None:
    body = f"g (float[2] x) => (float[2] y) {{ a = {step} b = {step} y = Sub(a, b) }}"
    result = simplified(tmp_path, body, check=False)
    assert result.before == result.after


def test_nodes_that_leave_out_other_outputs_are_not_mixed_up(tmp_path: Path) -> None:
    body = """g (float[1, 1, 4] x) => (float[1, 1, 2] y, int64[1, 1, 2] i) {
        a = MaxPool<kernel_shape = [2], strides = [2]>(x)
        b, i = MaxPool<kernel_shape = [2], strides = [2]>(x)
        y = Add(a, b)
    }"""
    simplified(tmp_path, body, {"x": array(1, 1, 4)})


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int64, np.str_])
def test_equal_initializers_are_stored_once(tmp_path: Path, dtype: type) -> None:
    first = np.arange(3000).astype(dtype)
    other = first.copy()
    other[2999] = 7
    tensors = {"a": first, "b": first.copy(), "c": other, "d": first.reshape(3000, 1)}
    path = tmp_path / "before.onnx"
    onnx.save(looked_up(tensors), path)
    result = modelport.simplify(path, check=False)
    assert len(result.model.ir.graph.initializers) == 3
    after = result.model.save(tmp_path / "after.onnx")
    inputs = {"i": np.array([0, 1500, 2999])}
    for one, two in zip(run(path, inputs), run(after, inputs), strict=True):
        np.testing.assert_array_equal(one, two)


def looked_up(tensors: dict[str, np.ndarray]) -> onnx.ModelProto:
    """A model that gathers from each tensor at indices that come in."""
    helper = onnx.helper
    weights, nodes, outputs = [], [], []
    for name, value in tensors.items():
        text = value.dtype.kind == "U"
        kind = onnx.TensorProto.STRING if text else helper.np_dtype_to_tensor_dtype(value.dtype)
        items = [item.encode() for item in value.ravel()] if text else value.ravel()
        weights.append(helper.make_tensor(name, kind, value.shape, items))
        nodes.append(helper.make_node("Gather", [name, "i"], [f"{name}_out"]))
        outputs.append(helper.make_tensor_value_info(f"{name}_out", kind, None))
    indices = helper.make_tensor_value_info("i", onnx.TensorProto.INT64, ["n"])
    graph = helper.make_graph(nodes, "g", [indices], outputs, weights)
    imports = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)
