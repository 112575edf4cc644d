"""What counts as a constant, and what is read of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir
import pytest

from modelport.ir.constants import add_constant, constant, tensor_of
from tests.support import onnx_text

CONSTANTS = {
    "value": ("Constant<value = float[2] {1, 2}>()", np.array([1, 2], np.float32)),
    "value_int": ("Constant<value_int = 3>()", np.array(3, np.int64)),
    "value_ints": ("Constant<value_ints = [3, 4]>()", np.array([3, 4], np.int64)),
    "value_float": ("Constant<value_float = 0.5>()", np.array(0.5, np.float32)),
    "value_floats": ("Constant<value_floats = [0.5]>()", np.array([0.5], np.float32)),
}


@pytest.mark.parametrize(("node", "expected"), CONSTANTS.values(), ids=CONSTANTS)
def test_constant_node_of_every_attribute(node: str, expected: np.ndarray, tmp_path: Path) -> None:
    path = onnx_text(tmp_path / "m.onnx", f"g () => (float[2] y) {{ y = {node} }}")
    found = constant(onnx_ir.load(path).graph[0].outputs[0])
    assert found is not None
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_default_of_an_input_counts_where_it_is_asked_for(tmp_path: Path) -> None:
    body = "g (float[2] x, float[2] w) => (float[2] y) <float[2] w = {1, 2}> { y = Add(x, w) }"
    w = onnx_ir.load(onnx_text(tmp_path / "m.onnx", body)).graph.inputs[1]
    assert tensor_of(w) is None
    assert constant(w) is None
    default = tensor_of(w, default=True)
    assert default is not None
    np.testing.assert_array_equal(default.numpy(), [1, 2])


def test_large_constant_is_not_read(tmp_path: Path) -> None:
    body = "g (float[3] x) => (float[3] y) <float[3] w = {1, 2, 3}> { y = Add(x, w) }"
    w = onnx_ir.load(onnx_text(tmp_path / "m.onnx", body)).graph.initializers["w"]
    assert constant(w, 2) is None
    assert constant(w, 3) is not None


def test_constant_is_added_under_a_free_name(tmp_path: Path) -> None:
    body = "g (float[3] x) => (float[3] y) <float[3] w = {1, 2, 3}> { y = Add(x, w) }"
    graph = onnx_ir.load(onnx_text(tmp_path / "m.onnx", body)).graph
    added = add_constant(graph, "w", np.zeros(3, np.float32))
    assert added.name == "w_1"
    assert set(graph.initializers) == {"w", "w_1"}
