"""Dynamic quantization of weights that several nodes read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import modelport
from modelport import Model
from modelport.precision.compression import compress

RNG = np.random.default_rng(0)
W = RNG.standard_normal((8, 8)).astype(np.float32)
X = RNG.standard_normal((4, 8)).astype(np.float32)

N = helper.make_node


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([N("Gemm", ["x", "w"], ["a"], transB=1), N("Gemm", ["a", "w"], ["y"], transB=1)],
         X @ W.T @ W.T),
        ([N("Gemm", ["x", "w"], ["a"], transB=1), N("MatMul", ["a", "w"], ["y"])], X @ W.T @ W),
        ([N("MatMul", ["x", "w"], ["a"]), N("Gemm", ["a", "w"], ["y"], transB=1)], X @ W @ W.T),
        ([N("Gemm", ["x", "w"], ["a"]), N("Gemm", ["a", "w"], ["y"], transB=1)], X @ W @ W.T),
        ([N("Gemm", ["x", "w"], ["a"], transB=1), N("ReduceSum", ["w"], ["b"], keepdims=0),
          N("Add", ["a", "b"], ["y"])], X @ W.T + W.sum()),
        ([N("Gemm", ["x", "w"], ["a"], transB=1), N("Gemm", ["a", "w"], ["b"], transB=1),
          N("Gemm", ["b", "w"], ["y"], transB=1)], X @ W.T @ W.T @ W.T),
    ],
)  # fmt: skip
def test_shared_weights_keep_their_orientation(
    tmp_path: Path, nodes: list[onnx.NodeProto], expected: np.ndarray
) -> None:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", 1, [4, 8])],
        [helper.make_tensor_value_info("y", 1, [4, 8])],
        [onnx.numpy_helper.from_array(W, "w")],
    )
    path = tmp_path / "m.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path
    )
    small = compress(Model.load(path), "dynamic").save(tmp_path / "small.onnx")
    assert any("Integer" in node.op_type for node in onnx.load(small).graph.node)
    (result,) = modelport.load(small).run({"x": X}).values()
    assert np.abs(result - expected).max() < 0.05 * expected.std()
