from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import onnx_ir
import pytest

import modelport
from tests.passes.support import array, run, simplified


def test_constants_are_folded(tmp_path: Path) -> None:
    body = """g (float[2, 2] x) => (float[2, 2] y) <float[2, 2] w = {1, 2, 3, 4}> {
        half = Constant<value_float = 0.5>()
        scaled = Mul(w, half)
        turned = Transpose<perm = [1, 0]>(scaled)
        y = MatMul(x, turned)
    }"""
    assert simplified(tmp_path, body, {"x": array(2, 2)}).after == {"MatMul": 1}


@pytest.mark.parametrize(("limit", "folds"), [(1 << 20, True), (1 << 10, False)])
def test_large_constants_are_not_folded_into_the_file(
    tmp_path: Path, limit: int, folds: bool
) -> None:
    body = """g (float[1, 128] x) => (float[64, 128] y)
    <float one = {1}, int64[2] shape = {64, 128}> {
        ones = Expand(one, shape)
        y = Add(x, ones)
    }"""
    result = simplified(tmp_path, body, {"x": array(1, 128)}, size_limit=limit)
    assert ("Expand" not in result.after) == folds
    size = (tmp_path / "after.onnx").stat().st_size
    assert (size > 64 * 128 * 4) == folds


def test_what_replaces_as_many_bytes_is_folded_beyond_the_limit(tmp_path: Path) -> None:
    weight = array(64, 128)
    node = onnx.helper.make_node
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [node("Transpose", ["w"], ["t"], perm=[1, 0]), node("MatMul", ["x", "t"], ["y"])],
        "g",
        [value("x", onnx.TensorProto.FLOAT, [2, 128])],
        [value("y", onnx.TensorProto.FLOAT, [2, 64])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    path = tmp_path / "before.onnx"
    onnx.save(
        onnx.helper.make_model(
            graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10
        ),
        path,
    )
    result = modelport.simplify(path, size_limit=0)
    assert result.after == {"MatMul": 1}
    after = result.model.save(tmp_path / "after.onnx")
    x = array(2, 128, seed=1)
    np.testing.assert_allclose(run(after, {"x": x})[0], x @ weight.T, rtol=1e-5, atol=1e-5)


def test_quantization_is_kept(tmp_path: Path) -> None:
    body = """g (float[2] x) => (float[2] y)
    <int8[2] w = {1, 2}, float s = {0.5}, int8 z = {0}> {
        d = DequantizeLinear(w, s, z)
        y = Add(x, d)
    }"""
    assert simplified(tmp_path, body, {"x": array(2)}).after["DequantizeLinear"] == 1


def test_branch_of_a_constant_condition_is_taken_in(tmp_path: Path) -> None:
    body = """g (float[2] x) => (float[2] y) <bool c = {1}> {
        e = Exp(x)
        y = If(c) <
            then_branch = a () => (float[2] e2) { t = Neg(e) e2 = Abs(t) },
            else_branch = b () => (float[2] q) { q = Relu(e) }
        >
    }"""
    assert simplified(tmp_path, body, {"x": array(2)}).after == {"Exp": 1, "Neg": 1, "Abs": 1}


def test_batch_normalization_goes_into_the_convolution(tmp_path: Path) -> None:
    body = """g (float[n, 1, 4, 4] x) => (float[n, 2, 4, 4] y)
    <float[2, 1, 1, 1] w = {2, -3}, float[2] s = {1, 0.5}, float[2] b = {0.1, 0.2},
    float[2] m = {0.3, -1}, float[2] v = {2, 0.04}> {
        c = Conv(x, w)
        y = BatchNormalization<epsilon = 0.01>(c, s, b, m, v)
    }"""
    inputs = [{"x": array(size, 1, 4, 4)} for size in (1, 3)]
    assert simplified(tmp_path, body, *inputs).after == {"Conv": 1}


def test_convolution_that_others_read_keeps_its_own_weights(tmp_path: Path) -> None:
    body = """g (float[1, 1, 2, 2] x) => (float[1, 1, 2, 2] y, float[1, 1, 2, 2] z)
    <float[1, 1, 1, 1] w = {2}, float[1] s = {3}, float[1] b = {1}, float[1] m = {0.5},
    float[1] v = {1}> {
        z = Conv(x, w)
        y = BatchNormalization(z, s, b, m, v)
    }"""
    simplified(tmp_path, body, {"x": array(1, 1, 2, 2)})


def test_sequences_are_not_taken_for_tensors(tmp_path: Path) -> None:
    body = """g (float[2] x, int64 i) => (float[2] y) {
        neg = Neg(x)
        list = SequenceConstruct(x, neg)
        y = SequenceAt(list, i)
    }"""
    inputs = [{"x": array(2), "i": np.array(place)} for place in (0, 1)]
    result = simplified(tmp_path, body, *inputs)
    kinds = {node.op_type: node.outputs[0].type for node in result.model.ir.graph}
    assert isinstance(kinds["SequenceConstruct"], onnx_ir.SequenceType)


def test_names_that_inference_makes_up_mean_nothing_to_others(tmp_path: Path) -> None:
    """ONNX counts from 0 in each graph and call: equal names of this kind are no equal sizes."""
    body = """g (float[n] x, bool c, int64[1] big) => (float y) {
        i = NonZero(x)
        y = If(c) <
            then_branch = a () => (float p) {
                j = NonZero(x) f = Cast<to = 1>(j) w = Expand(f, big) p = ReduceSum<keepdims = 0>(w)
            },
            else_branch = b () => (float q) { k = Cast<to = 1>(i) q = ReduceSum<keepdims = 0>(k) }
        >
    }"""
    inputs = [{"x": array(1) + 3, "c": np.array(c), "big": np.array([5])} for c in (True, False)]
    result = simplified(tmp_path, body, *inputs, check=False)
    assert result.after["Expand"] == 1
    text = (tmp_path / "after.onnx").read_bytes()
    assert b"unk__" not in text
    assert b"inferred_" not in text
