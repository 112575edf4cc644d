from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.reference
import onnx_ir
import onnxruntime
import pytest

import modelport
from modelport import Model, UsageError
from modelport.graph import expose, extract
from tests.support import onnx_text

Arrays = Mapping[str, np.ndarray[Any, Any]]
X23 = np.array([[-1, 2, -3], [4, -5, 6]], np.float32)

CHAIN = """g (float[N, 3] x, float[N, 3] z) => (float[N, 3] y) <float[3] w = {1.0, 2.0, 3.0}> {
    a = Mul(x, w)
    b = Relu(a)
    c = Add(b, z)
    y = Neg(c)
}"""
BRANCHES = """g (bool c, float[2] x) => (float[2] y) {
    a = Neg(x)
    b = If (c) <
        then_branch = t () => (float[2] r) { p = Relu(a) q = Add(p, x) r = Exp(q) },
        else_branch = e () => (float[2] s) { s = Sub(a, x) }
    >
    y = Mul(b, a)
}"""
LOOP = """g (int64 n, bool c, float[2] x) => (float[2] y, float[k, 2] all) {
    h = Neg(x)
    y, all = Loop (n, c, x) <
        body = b (int64 i, bool going, float[2] state) => (bool on, float[2] next, float[2] scan) {
            on = Identity(going)
            d = Mul(state, h)
            next = Add(d, x)
            scan = Relu(d)
        }
    >
}"""


@pytest.fixture
def read(tmp_path: Path) -> Any:
    return lambda body: Model.load(onnx_text(tmp_path / "given.onnx", body))


def run(model: Model, inputs: Arrays) -> dict[str, np.ndarray[Any, Any]]:
    data = onnx_ir.to_proto(model.ir).SerializeToString()
    onnx.checker.check_model(data, full_check=True)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def numbers(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_part_of_a_chain_computes_its_part(read: Any) -> None:
    given = read(CHAIN)
    part = extract(given, ["a", "z"], ["c"])
    a, z = numbers(2, 3), numbers(2, 3) + 1
    assert [node.op_type for node in part.ir.graph] == ["Relu", "Add"]
    np.testing.assert_array_equal(run(part, {"a": a, "z": z})["c"], np.maximum(a, 0) + z)
    assert [node.op_type for node in given.ir.graph] == ["Mul", "Relu", "Add", "Neg"]
    assert not part.ir.graph.initializers


def test_initializers_come_along_or_become_inputs(read: Any) -> None:
    given, x = read(CHAIN), numbers(1, 3)
    w = np.array([1, 2, 3], np.float32)
    np.testing.assert_array_equal(run(extract(given, ["x"], ["a"]), {"x": x})["a"], x * w)
    part = extract(given, ["w", "x"], ["a"])
    assert [spec.name for spec in part.signature.inputs] == ["w", "x"]
    np.testing.assert_array_equal(run(part, {"x": x, "w": 2 * w})["a"], x * 2 * w)


def test_an_onnx_ir_model_gives_an_onnx_ir_model(read: Any) -> None:
    part = extract(read(CHAIN).ir, ["b", "z"], ["y"])
    assert isinstance(part, onnx_ir.Model)
    assert [value.name for value in part.graph.inputs] == ["b", "z"]


def test_ranges_of_dimensions_that_are_left_stay(tmp_path: Path) -> None:
    given = Model.load(onnx_text(tmp_path / "m.onnx", CHAIN))
    given.dims = {"N": modelport.Dim("N", 2, 9), "M": modelport.Dim("M")}
    assert extract(given, ["a"], ["b"]).dims == {"N": modelport.Dim("N", 2, 9)}


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        (["a"], ["y"], r"'y' cannot be computed from 'a': 'z' is missing(.|\n)*reads 'z'"),
        (["x", "z"], ["b"], "'b' can be computed without 'z': superfluous"),
        (["a", "x"], ["b"], "'b' can be computed without 'x': superfluous"),
        (["x"], ["nowhere"], "there is no tensor 'nowhere'"),
        (["x"], ["x"], "both an input and an output"),
        (["x", "x"], ["a"], "named twice"),
        (["x"], [], "no tensor to compute"),
    ],
)
def test_wrong_borders_are_refused(
    read: Any, inputs: list[str], outputs: list[str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        extract(read(CHAIN), inputs, outputs)


def test_a_branch_goes_along_with_what_it_captures(read: Any) -> None:
    part = extract(read(BRANCHES), ["c", "a", "x"], ["b"])
    a, x = numbers(2), numbers(2) + 1
    for taken, expected in ((True, np.exp(np.maximum(a, 0) + x)), (False, a - x)):
        result = run(part, {"c": np.array(taken), "a": a, "x": x})
        np.testing.assert_allclose(result["b"], expected, rtol=1e-6)
    with pytest.raises(UsageError, match="'x' is missing"):
        extract(read(BRANCHES), ["c", "a"], ["b"])


def test_what_a_branch_computes_is_cut_out_of_it(read: Any) -> None:
    part = extract(read(BRANCHES), ["x"], ["q"])
    assert [node.op_type for node in part.ir.graph] == ["Neg", "Relu", "Add"]
    x = numbers(2)
    np.testing.assert_allclose(run(part, {"x": x})["q"], np.maximum(-x, 0) + x)
    inner = extract(read(BRANCHES), ["q"], ["r"])
    np.testing.assert_allclose(run(inner, {"q": x})["r"], np.exp(x), rtol=1e-6)


def test_a_tensor_of_a_branch_may_be_an_input_of_the_whole(read: Any) -> None:
    part = extract(read(BRANCHES), ["c", "q", "a", "x"], ["y"])
    a, q, x = numbers(2), numbers(2) / 3, numbers(2) + 1
    given = {"c": np.array(True), "a": a, "q": q, "x": x}
    np.testing.assert_allclose(run(part, given)["y"], np.exp(q) * a, rtol=1e-6)
    other = extract(read(BRANCHES), ["c", "x"], ["r", "y"])
    result = run(other, {"c": np.array(True), "x": x})
    np.testing.assert_allclose(result["y"], result["r"] * -x, rtol=1e-6)
    result = run(other, {"c": np.array(False), "x": x})
    np.testing.assert_allclose(result["y"], (-x - x) * -x, rtol=1e-6)


def test_a_loop_goes_along_whole_and_its_body_is_cut_at_its_state(read: Any) -> None:
    x, h = numbers(2), numbers(2) + 1
    part = extract(read(LOOP), ["n", "c", "h", "x"], ["y"])
    result = run(part, {"n": np.array(2), "c": np.array(True), "x": x, "h": h})
    np.testing.assert_allclose(result["y"], (x * h + x) * h + x, rtol=1e-5)
    step = extract(read(LOOP), ["state", "h", "x"], ["next"])
    state = numbers(2) * 3
    np.testing.assert_allclose(
        run(step, {"state": state, "h": h, "x": x})["next"], state * h + x, rtol=1e-6
    )
    with pytest.raises(UsageError, match=r"(?s)'state' is missing.*changes at every turn"):
        extract(read(LOOP), ["x"], ["next"])


def test_names_of_several_branches_are_ambiguous(read: Any) -> None:
    body = BRANCHES.replace("s = Sub(a, x)", "p = Sub(a, x) s = Relu(p)")
    with pytest.raises(UsageError, match="there are 2 tensors 'p'"):
        extract(read(body), ["x"], ["p"])


def test_types_are_inferred_where_the_file_has_none(tmp_path: Path) -> None:
    # Bodies in text carry no value_info.
    model = onnx.load(onnx_text(tmp_path / "m.onnx", CHAIN))
    assert not model.graph.value_info
    part = extract(Model.load(tmp_path / "m.onnx"), ["b", "z"], ["c"])
    assert [str(spec) for spec in part.signature.inputs] == [
        "b: float32[N, 3]",
        "z: float32[N, 3]",
    ]
    assert [str(spec) for spec in part.signature.outputs] == ["c: float32[N, 3]"]


def test_a_type_that_nobody_knows_cannot_be_an_input(read: Any) -> None:
    body = "g (float[2] x) => (float[2] y) { a = mine.Special(x) y = Relu(a) }"
    with pytest.raises(UsageError, match="'a' cannot become an input: its type is not known"):
        extract(read(body), ["a"], ["y"])


def test_weights_are_shared_not_copied(read: Any) -> None:
    given = read(CHAIN)
    part = extract(given, ["x"], ["a"])
    assert (
        part.ir.graph.initializers["w"].const_value is given.ir.graph.initializers["w"].const_value
    )


def test_only_functions_that_are_called_come_along(tmp_path: Path) -> None:
    text = """<ir_version: 10, opset_import: ["" : 18, "own" : 1]>
    g (float[2] x) => (float[2] y) { a = own.twice(x) y = own.minus(a) }
    <domain: "own", opset_import: ["" : 18]> twice (p) => (q) { q = Add(p, p) }
    <domain: "own", opset_import: ["" : 18]> minus (p) => (q) { q = Neg(p) }"""
    path = tmp_path / "m.onnx"
    path.write_bytes(onnx.parser.parse_model(text).SerializeToString())
    part = extract(Model.load(path), ["x"], ["a"])
    assert [key[1] for key in part.ir.functions] == ["twice"]
    np.testing.assert_array_equal(run(part, {"x": np.ones(2, np.float32)})["a"], [2, 2])


def test_all_tensors_become_outputs(read: Any) -> None:
    shown = expose(read(CHAIN))
    x, z = numbers(2, 3), numbers(2, 3)
    result = run(shown, {"x": x, "z": z})
    assert list(result) == ["y", "a", "b", "c"]
    np.testing.assert_array_equal(result["c"], -result["y"])
    np.testing.assert_array_equal(result["b"], np.maximum(result["a"], 0))


def test_tensors_by_name_and_by_operator(read: Any) -> None:
    given = read(CHAIN)
    for shown in (expose(given, ["b", "y", "b"]), expose(given, op="Relu")):
        assert [spec.name for spec in shown.signature.outputs] == ["y", "b"]
    assert [spec.name for spec in given.signature.outputs] == ["y"]


@pytest.mark.parametrize(
    ("body", "asked", "message"),
    [
        (CHAIN, {"tensors": ["x"]}, "nothing computes 'x'"),
        (CHAIN, {"tensors": ["w"]}, "nothing computes 'w'"),
        (CHAIN, {"tensors": ["bb"]}, "no tensor 'bb'"),
        (CHAIN, {"op": "Conv"}, "the model has no Conv"),
        (CHAIN, {"op": "Relu", "tensors": ["a"]}, "given together"),
        (BRANCHES, {"tensors": ["q"]}, "'q' cannot be an output.*inside of node"),
    ],
)
def test_what_cannot_be_shown_is_refused(
    read: Any, body: str, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        expose(read(body), **asked)


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        (["y"], ["z"], -X23),
        (["y"], ["w"], -X23 + X23),
        (["z", "y"], ["w"], 2 * X23),
        (["x"], ["z"], -np.maximum(X23, 0)),
        (["z"], ["v"], np.abs(X23)),
    ],
)
def test_outputs_of_the_model_are_inputs_of_a_part(
    tmp_path: Path, begin: list[str], end: list[str], expected: np.ndarray[Any, Any]
) -> None:
    body = """g (float[2, 3] x) => (float[2, 3] y, float[2, 3] z, float[2, 3] w, float[2, 3] v)
        { y = Relu(x) z = Neg(y) w = Add(z, y) v = Abs(z) }"""
    part = extract(Model.load(onnx_text(tmp_path / "m.onnx", body)), begin, end)
    path = part.save(tmp_path / "part.onnx")
    onnx.checker.check_model(onnx.load(path), full_check=True)
    (result,) = modelport.load(path).run(dict.fromkeys(begin, X23)).values()
    np.testing.assert_array_equal(result, expected)
