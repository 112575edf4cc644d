"""fp16 and bf16: graphs as people write them, valid and near float32 in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import modelport
from modelport import CalibrationTable, UsageError
from modelport.ops.library.hswish.op import hswish
from modelport.precision import convert
from tests.precision.support import converted, dtypes, run
from tests.support import onnx_text

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 3, 8, 8)).astype(np.float32)
M = RNG.standard_normal((4, 16)).astype(np.float32)
BOTH = pytest.mark.parametrize("precision", ["fp16", "bf16"])

CONV = """
g (float[N, 3, 8, 8] x) => (float[N, 4, 8, 8] y)
<float[4, 3, 3, 3] w = {%s}, float[4] b = {0.1, 0.2, 0.3, 0.4}> {
    a = Conv<pads = [1, 1, 1, 1]>(x, w, b)
    y = Relu(a)
}
""".replace("{%s}", "{" + ", ".join(f"{value:.4f}" for value in RNG.standard_normal(108) / 5) + "}")


@BOTH
def test_convolution_computes_in_16_bits_and_keeps_the_border(
    tmp_path: Path, precision: str
) -> None:
    model = converted(tmp_path, CONV, {"x": X}, precision)
    assert dtypes(model)["Conv"] == {"fp16": "FLOAT16", "bf16": "BFLOAT16"}[precision]
    assert [spec.dtype for spec in (*model.signature.inputs, *model.signature.outputs)] == [
        "float32",
        "float32",
    ]
    assert {value.dtype.name for value in model.ir.graph.initializers.values()} == {
        {"fp16": "FLOAT16", "bf16": "BFLOAT16"}[precision]
    }


def test_inputs_and_outputs_are_converted_where_that_is_asked_for(tmp_path: Path) -> None:
    model = modelport.Model.load(onnx_text(tmp_path / "m.onnx", CONV))
    half = convert(model, "fp16", keep_io=False)
    assert [value.dtype for value in half.signature.inputs] == ["float16"]
    assert "Cast" not in dtypes(half)
    (result,) = run(half.save(tmp_path / "h.onnx"), {"x": X.astype(np.float16)})
    (expected,) = run(tmp_path / "m.onnx", {"x": X})
    assert result.dtype == np.float16
    np.testing.assert_allclose(result, expected, atol=5e-3)


@BOTH
@pytest.mark.parametrize(
    "body",
    {
        "sizes, scales and a type by another tensor": """
g (float[2, 3, 8, 8] x) => (float[a, b, c, d] y, float[e, f, g, h] z, float[2, 3, 8, 8] w)
<float[4] scales = {1, 1, 2, 1.5}, float[0] none = {}, double one = {1}> {
    y = Resize<mode = "linear">(x, none, scales)
    shape = Shape(x)
    reals = Cast<to = 1>(shape)
    half = Constant<value_float = 0.5>()
    small = Mul(reals, half)
    up = Ceil(small)
    whole = Cast<to = 7>(up)
    z = Resize<mode = "nearest">(x, none, none, whole)
    like = CastLike(one, x)
    w = Add(x, like)
}""",
        "integers among the outputs": """
g (float[2, 3, 8, 8] x) => (float[a, b, c, d] values, int64[a, b, c, d] places,
    bool[2, 3, 8, 8] positive, float[e] zeros)
<int64[1] k = {2}, float zero = {0}, int64[1] n = {3}> {
    a = Neg(x)
    values, places = TopK(a, k)
    positive = Greater(a, zero)
    zeros = ConstantOfShape(n)
}""",
        "branches that read outer tensors": """
g (float[2, 3, 8, 8] x) => (float[2, 3, 8, 8] y, float[2, 3, 8, 8] y2) {
    a = Relu(x)
    zero = Constant<value_float = 0.0>()
    mean = ReduceMean<keepdims = 0>(x)
    c = Greater(mean, zero)
    y = If<
        then_branch = t () => (float[2, 3, 8, 8] r) {
            two = Constant<value_float = 2.0>()
            r = Mul(a, two)
        },
        else_branch = e () => (float[2, 3, 8, 8] s) { s = Identity(a) }
    >(c)
    y2 = Identity(y)
}""",
        "a loop with a carried tensor": """
g (float[2, 3, 8, 8] x) => (float[2, 3, 8, 8] y, float[3, 2, 3, 8, 8] all) {
    n = Constant<value_int = 3>()
    go = Constant<value = bool {1}>()
    y, all = Loop<body = b (int64 i, bool c, float[2, 3, 8, 8] s) =>
        (bool d, float[2, 3, 8, 8] t, float[2, 3, 8, 8] u) {
            d = Identity(c)
            r = Relu(x)
            q = Constant<value_float = 0.25>()
            v = Mul(r, q)
            t = Add(s, v)
            u = Neg(t)
        }>(n, go, x)
}""",
        "an input that is an output, and an output given twice": """
g (float[2, 3, 8, 8] x) => (float[2, 3, 8, 8] y, float[2, 3, 8, 8] z) {
    a = Abs(x)
    y = Neg(a)
    z = Add(y, a)
}""",
    }.items(),
    ids=lambda item: item[0],
)
def test_graph_is_valid_and_near(tmp_path: Path, precision: str, body: tuple[str, str]) -> None:
    model = converted(tmp_path, body[1], {"x": X}, precision)
    assert {"FLOAT16", "BFLOAT16"} & {
        str(value.dtype) for node in model.ir.graph.all_nodes() for value in node.outputs
    }


NORMALIZED = """
g (float[N, 16] x) => (float[N, 16] y)
<float eps = {1e-12}, float two = {2}, int64[1] last = {-1}> {
    mean = ReduceMean(x, last)
    d = Sub(x, mean)
    square = Mul(d, d)
    variance = ReduceMean(square, last)
    sum = Add(variance, eps)
    std = Sqrt(sum)
    y = Div(d, std)
}"""


def test_normalization_written_out_neither_overflows_nor_divides_by_zero(tmp_path: Path) -> None:
    # The squares of these deviations are 9e6, and the epsilon is no float16.
    converted(tmp_path, NORMALIZED, {"x": M * 3000})
    converted(tmp_path, NORMALIZED, {"x": np.full((4, 16), 2.0, np.float32)})


def test_masks_saturate_and_are_named(tmp_path: Path) -> None:
    model = converted(
        tmp_path,
        """
g (float[4, 16] x, bool[4, 16] m) => (float[4, 16] y)
<float far = {-1e9}> {
    a = Neg(x)
    b = Where(m, a, far)
    c = Relu(b)
    y = Neg(c)
}""",
        {"x": M, "m": M > 0},
    )
    (found,) = [item for item in model.findings if item.rule == "weight-saturated"]
    assert "'far' reach 1e+09" in found.message


def test_weights_that_overflow_stay_and_are_named(tmp_path: Path) -> None:
    model = converted(
        tmp_path,
        """
g (float[4, 16] x) => (float[4, 16] y)
<float huge = {100000}, float tiny = {0.00000001}> {
    a = Mul(x, huge)
    b = Abs(a)
    c = Mul(b, tiny)
    y = Neg(c)
}""",
        {"x": M},
    )
    rules = {item.rule: item.message for item in model.findings}
    assert "'huge' reaches 1e+05" in rules["kept-for-overflow"]
    assert "'tiny' would become 0" in rules["kept-for-underflow"]


def test_what_overflows_on_the_calibration_data_stays(tmp_path: Path) -> None:
    body = """
g (float[4, 16] x) => (float[4, 16] y) <float t = {300}, float h = {0.0001}> {
    a = Mul(x, t)
    b = Mul(a, t)
    c = Mul(b, h)
    y = Relu(c)
}"""
    with pytest.raises(AssertionError):
        converted(tmp_path, body, {"x": M})
    table = CalibrationTable({"a": (-900.0, 900.0), "b": (-270000.0, 9.0)})
    model = converted(tmp_path, body, {"x": M}, table=table)
    (found,) = [item for item in model.findings if item.rule == "kept-for-overflow"][:1]
    assert "'b' reaches 2.7e+05 on the calibration data" in found.message
    assert dtypes(model)["Relu"] == "FLOAT16"


def test_positions_stay_exact(tmp_path: Path) -> None:
    # 5001 is no float16, and its cosine is nothing like that of 5000.
    model = converted(
        tmp_path,
        """
g (float[4, 16] x, int64[4, 1] p) => (float[4, 16] y)
<float[1, 16] f = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}> {
    r = Cast<to = 1>(p)
    a = MatMul(r, f)
    c = Cos(a)
    y = Mul(x, c)
}""",
        {"x": M, "p": np.array([[5000], [5001], [5002], [70001]])},
    )
    assert dtypes(model)["Cos"] == "FLOAT"
    assert dtypes(model)["Mul"] == "FLOAT16"


def test_nodes_asked_for_stay(tmp_path: Path) -> None:
    model = modelport.Model.load(onnx_text(tmp_path / "m.onnx", CONV))
    assert dtypes(convert(model, "fp16", keep=["Conv"]))["Conv"] == "FLOAT"
    for node in model.ir.graph:
        node.name = f"first_{node.op_type}"
    assert dtypes(convert(model, "fp16", keep=["first_C*"]))["Conv"] == "FLOAT"
    with pytest.raises(UsageError, match="no node and no operator of the model is called 'Cnov'"):
        convert(model, "fp16", keep=["Cnov"])


def test_own_operators_are_converted_as_they_are_declared(tmp_path: Path) -> None:
    body = "g (float[4, 16] x) => (float[4, 16] y) <float[4, 16] b> {"
    body += " a = Neg(x) b = mine.unheard(a) y = Neg(b) }"
    path = onnx_text(tmp_path / "m.onnx", body)
    unknown = convert(modelport.Model.load(path), "fp16")
    assert dtypes(unknown)["unheard"] == "FLOAT"
    assert hswish.qualified_name == "modelport::hswish"
    path = onnx_text(tmp_path / "m.onnx", body.replace("mine.unheard", "modelport.hswish"))
    model = modelport.Model.load(path)
    model.ir.opset_imports["modelport"] = 1
    known = convert(model, "fp16")
    assert dtypes(known)["hswish"] == "FLOAT16"


def test_precisions_without_a_rewrite(tmp_path: Path) -> None:
    model = modelport.Model.load(onnx_text(tmp_path / "m.onnx", CONV))
    assert convert(model, "fp32") is model
    assert convert(model, "tf32") is model
    with pytest.raises(UsageError, match="modelport quantize"):
        convert(model, "int8")
