"""Opsets on the command line: values are those of before, or nothing is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

import modelport
from modelport import Model, PassError
from modelport.graph import convert_opset
from tests.conftest import RunCli
from tests.support import onnx_text

X = (np.random.default_rng(0).standard_normal((1, 2, 3, 4)) * 3).astype(np.float32)
HEAD = "g (float[1, 2, 3, 4] x) => (float[?, ?, ?, ?] y)"
SCALES = "<float[4] s = {1, 1, 2, 1.5}>"


def outputs(path: Path) -> np.ndarray:
    (result,) = modelport.load(path).run({"x": X}).values()
    return result


@pytest.mark.parametrize(
    ("opset", "new", "body"),
    [
        (9, 13, f'{HEAD} {SCALES} {{ y = Upsample<mode = "linear">(x, s) }}'),
        (9, 18, f'{HEAD} {SCALES} {{ y = Upsample<mode = "nearest">(x, s) }}'),
        (7, 11, f'{HEAD} {{ y = Upsample<mode = "linear", scales = [1.0, 1.0, 2.0, 2.0]>(x) }}'),
        (10, 13, f'{HEAD} {SCALES} {{ y = Resize<mode = "linear">(x, s) }}'),
        (10, 19, f'{HEAD} {SCALES} {{ y = Resize<mode = "nearest">(x, s) }}'),
        (11, 13, f"{HEAD} {{ y = Hardmax(x) }}"),
        (11, 21, f"{HEAD} {{ a = Hardmax<axis = 2>(x) y = Neg(a) }}"),
        (7, 13, f"{HEAD} {{ a = Relu(x) y = Hardmax<axis = 3>(a) }}"),
        (11, 13, f"{HEAD} {{ y = Softmax<axis = 2>(x) }}"),
    ],
)
def test_values_stay(tmp_path: Path, cli: RunCli, opset: int, new: int, body: str) -> None:
    path = onnx_text(tmp_path / "m.onnx", body, opset=opset, ir_version=7)
    done = cli("graph", "edit", path, "-o", tmp_path / "new.onnx", "--opset", str(new))
    assert (done.code, done.err) == (0, "")
    written = onnx.load(tmp_path / "new.onnx")
    onnx.checker.check_model(written, full_check=True)
    assert written.opset_import[0].version == new
    np.testing.assert_allclose(outputs(tmp_path / "new.onnx"), outputs(path), rtol=1e-6, atol=1e-6)


def test_other_values_are_not_written(tmp_path: Path, cli: RunCli) -> None:
    path = onnx_text(tmp_path / "m.onnx", f"{HEAD} {{ y = Softmax<axis = 1>(x) }}", opset=13)
    command = ["graph", "edit", path, "-o", tmp_path / "new.onnx", "--opset", "11"]
    refused = cli(*command)
    assert refused.code == 1
    assert "does not compute what it computed before" in refused.err
    assert not (tmp_path / "new.onnx").exists()
    assert cli(*command, "--no-check").code == 0


def test_what_cannot_be_compared_is_written_with_a_warning(tmp_path: Path, cli: RunCli) -> None:
    path = onnx_text(tmp_path / "m.onnx", f"{HEAD} {{ a = mine.Odd(x) y = Relu(a) }}", opset=13)
    done = cli("graph", "edit", path, "-o", tmp_path / "new.onnx", "--opset", "18")
    assert done.code == 0
    assert "warning: the result is not checked" in done.err
    assert [node.op_type for node in onnx.load(tmp_path / "new.onnx").graph.node] == ["Odd", "Relu"]


FUNCTION = """<ir_version: 10, opset_import: ["" : 16, "mine" : 1]>
g (float[1, 2, 3, 4] x) => (float[1, 2, 3, 4] y) {{ y = mine.twice(x) }}
<domain: "mine", opset_import: ["" : 16]> twice (a) => (b) {{ {0} }}"""


def write_function(folder: Path, body: str) -> Path:
    onnx.save(onnx.parser.parse_model(FUNCTION.format(body)), folder / "m.onnx")
    return folder / "m.onnx"


def test_functions_stay(tmp_path: Path, cli: RunCli) -> None:
    path = write_function(tmp_path, "c = Relu(a) b = Add(c, c)")
    done = cli("graph", "edit", path, "-o", tmp_path / "new.onnx", "--opset", "18")
    assert (done.code, done.err) == (0, "")
    written = onnx.load(tmp_path / "new.onnx")
    assert [function.name for function in written.functions] == ["twice"]
    assert written.functions[0].opset_import[0].version == 18
    (expected,) = ReferenceEvaluator(written).run(None, {"x": X})
    np.testing.assert_array_equal(expected, 2 * np.maximum(X, 0))
    np.testing.assert_array_equal(outputs(tmp_path / "new.onnx"), expected)


def test_function_with_another_operator_is_refused(tmp_path: Path) -> None:
    path = write_function(tmp_path, "c = Split<num_outputs = 2>(a) b = Identity(c)")
    with pytest.raises(PassError, match="function mine::twice, node Split"):
        convert_opset(Model.load(path), 18)


def test_weights_beyond_a_message_are_not_read(tmp_path: Path) -> None:
    """A message ends at 2 GB; the file behind the weights is sparse, and is read by nobody."""
    rows, width = 1 << 16, (1 << 13) + 64
    weight = onnx.TensorProto(name="w", data_type=1, dims=[rows, width], data_location=1)
    weight.external_data.add(key="location", value="w.bin")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", 1, [1, rows])],
        [helper.make_tensor_value_info("y", 1, [1, width])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "m.onnx")
    with (tmp_path / "w.bin").open("wb") as file:
        file.truncate(rows * width * 4)
    new = convert_opset(Model.load(tmp_path / "m.onnx"), 18)
    assert new.opset == 18
    assert new.weight_bytes == rows * width * 4


@pytest.mark.parametrize(
    ("body", "dim"),
    [
        ("g (float[2, 3] x, float[2, 3] z) => (float[2, 3] y) { y = Add(x, z) }", "x:0=5"),
        ("g (float[2, 3] x) => (float[6] y) <int64[1] t = {6}> { y = Reshape(x, t) }", "x:0=5"),
        ("g (float[N, 3] x) => (float[N, 2] y) <float[3, 2] w = {1,2,3,4,5,6}>"
         "{ y = MatMul(x, w) }", "x:1=4"),
        ("g (float[4, 3] x) => (float[?, 3] y, float[?, 3] z) { y, z = Split(x) }", "x:0=5"),
        ("g (float[1, 1, 4, 4] x) => (float[1, 1, 2, 2] y) <float[1, 1, 3, 3] w = "
         "{1,1,1,1,1,1,1,1,1}> { y = Conv(x, w) }", "x:2=2"),
    ],
)  # fmt: skip
def test_sizes_that_do_not_fit_are_not_written(
    tmp_path: Path, cli: RunCli, body: str, dim: str
) -> None:
    path = onnx_text(tmp_path / "m.onnx", body, opset=13)
    command = ["graph", "edit", path, "-o", tmp_path / "new.onnx", "--dim", dim]
    refused = cli(*command)
    assert refused.code == 1
    assert "changed model" in refused.err
    assert not (tmp_path / "new.onnx").exists()
    assert cli(*command, "--no-check").code == 0
