"""Shape inference: what is filled in, what is replaced, and what is left alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import pytest

from modelport.ir.shape_inference import complete_shapes, infer_shapes, infer_shapes_anew
from tests.support import onnx_text


def shapes(model: onnx_ir.Model) -> dict[str, str]:
    return {
        value.name: str(value.shape)
        for node in model.graph.all_nodes()
        for value in node.outputs
        if value.name
    }


def test_shapes_are_those_that_onnx_infers(tmp_path: Path) -> None:
    path = onnx_text(
        tmp_path / "m.onnx",
        """g (float[N, 6] x, bool c) => (float[a, b] y) <int64[3] t = {0, 2, 3}> {
            r = Reshape(x, t)
            e = If(c) <
                then_branch = p () => (float[n, k, l] u) { v = Neg(r) u = Abs(v) },
                else_branch = q () => (float[n, k, l] w) { w = Exp(r) }
            >
            y = ReduceSum<keepdims = 0>(e)
        }""",
    )
    reference = onnx.shape_inference.infer_shapes(onnx.load(path), data_prop=True)
    known = {info.name: info.type.tensor_type.shape for info in reference.graph.value_info}
    model = onnx_ir.load(path)
    assert infer_shapes(model)
    found = shapes(model)
    assert found["r"] == found["v"] == "[N,2,3]"
    assert set(known) == {"r", "e"}
    for name, shape in known.items():
        dims = [dim.dim_param or dim.dim_value for dim in shape.dim]
        assert found[name] == f"[{','.join(map(str, dims))}]"
    assert not infer_shapes(model)


def test_what_is_there_stays_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    path = onnx_text(
        tmp_path / "m.onnx", "g (float[2] x) => (float[2] y) { a = Neg(x) y = Abs(a) }"
    )
    model = onnx_ir.load(path)
    value = model.graph[0].outputs[0]
    value.shape, value.type = onnx_ir.Shape(["mine"]), onnx_ir.TensorType(onnx_ir.DataType.FLOAT)
    infer_shapes(model)
    assert str(value.shape) == "[mine]"
    infer_shapes(model, overwrite=True)
    assert str(value.shape) == "[2]"
    value.shape = onnx_ir.Shape(["mine"])
    infer_shapes_anew(model)
    assert str(value.shape) == "[2]"


def test_unknown_sizes_of_two_calls_have_other_names(tmp_path: Path) -> None:
    body = "g (float[2] x) => (int64[a, b] y) { n = NonZero(x) y = Neg(n) }"
    model = onnx_ir.load(onnx_text(tmp_path / "m.onnx", body))
    infer_shapes(model, overwrite=True, prefix="first_")
    assert shapes(model)["n"].startswith("[1,first_unk__")


def test_weights_are_not_read_and_stay(tmp_path: Path) -> None:
    class Unread(onnx_ir.Tensor):
        def numpy(self) -> np.ndarray:
            raise AssertionError("a weight was read")

        def tobytes(self) -> bytes:
            raise AssertionError("a weight was read")

    body = (
        "g (float[1, 64] x) => (float[1, n] y) <float[1] w = {0}> { a = MatMul(x, w) y = Neg(a) }"
    )
    model = onnx_ir.load(onnx_text(tmp_path / "m.onnx", body))
    weight = Unread(np.zeros((64, 65), np.float32), name="w")
    model.graph.initializers["w"].const_value = weight
    model.graph.initializers["w"].shape = onnx_ir.Shape([64, 65])
    infer_shapes(model)
    assert shapes(model)["a"] == "[1,65]"
    assert model.graph.initializers["w"].const_value is weight


def test_small_constant_of_a_file_beside_is_read(tmp_path: Path) -> None:
    body = """g (float[N, 6] x) => (float[a, b, c] y) <int64[3] t = {0, 2, 3}> {
        r = Reshape(x, t)
        y = Neg(r)
    }"""
    model = onnx_ir.load(onnx_text(tmp_path / "inside.onnx", body))
    onnx_ir.save(model, tmp_path / "m.onnx", external_data="m.data", size_threshold_bytes=0)
    model = onnx_ir.load(tmp_path / "m.onnx")
    outside = model.graph.initializers["t"].const_value
    assert isinstance(outside, onnx_ir.ExternalTensor)
    infer_shapes(model, overwrite=True)
    assert shapes(model)["r"] == "[N,2,3]"
    assert model.graph.initializers["t"].const_value is outside


def test_sequence_stays_a_sequence(tmp_path: Path) -> None:
    body = """g (float[4, 2] x) => (float[2, 2] y) <int64 i = {0}, int64 two = {2}> {
        s = SplitToSequence<axis = 0>(x, two)
        y = SequenceAt(s, i)
    }"""
    model = onnx_ir.load(onnx_text(tmp_path / "m.onnx", body))
    infer_shapes(model)
    assert isinstance(model.graph[0].outputs[0].type, onnx_ir.SequenceType)


def test_body_of_a_loop_knows_its_inputs(tmp_path: Path) -> None:
    body = """g (int64 n, bool c, float[2] x) => (float[2] y) {
        y = Loop(n, c, x) <body = b (int64 i, bool k, float[2] s) => (bool d, float[2] t) {
            d = Identity(k)
            t = Neg(s)
        }>
    }"""
    model = onnx_ir.load(onnx_text(tmp_path / "m.onnx", body))
    inner = model.graph[0].attributes["body"].as_graph()
    for value in inner.inputs:
        value.shape = None
    infer_shapes(model)
    # The shape of a state may change from turn to turn.
    assert [str(value.shape) for value in inner.inputs[1:]] == ["[]", "None"]


def test_model_that_onnx_refuses_stays_as_it_is(tmp_path: Path) -> None:
    body = "g (float[2] x, float[3] z) => (float[2] y) { a = MatMul(x, z) y = Neg(a) }"
    model = onnx_ir.load(onnx_text(tmp_path / "m.onnx", body))
    assert not infer_shapes(model)
    assert shapes(model)["a"] == "None"


@pytest.mark.parametrize(("name", "completed"), [("y", False), ("a", True)])
def test_shapes_are_completed_where_one_that_matters_lacks(
    name: str, completed: bool, tmp_path: Path
) -> None:
    body = "g (float[2] x) => (float[2] y) { a = Neg(x) y = Abs(a) }"
    model = onnx_ir.load(onnx_text(tmp_path / "m.onnx", body))
    complete_shapes(model, [name])
    assert (shapes(model)["a"] == "[2]") is completed
