"""fp8: Q/DQ with floats of 8 bits, against the format's definition."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch

import modelport
from modelport import BuildError, CalibrationTable, Target, UsageError, quantize
from modelport.backends.onnxruntime.session import open_session
from modelport.precision import convert
from modelport.precision.float8 import float8_scale, float8_weight
from tests.conftest import RunCli
from tests.support import Array, onnx_text


def numbers() -> Array:
    """All finite numbers of E4M3FN: 4 bits of exponent with a bias of 7, and 3 of mantissa."""
    found = []
    for byte in range(128):
        exponent, mantissa = byte >> 3, byte & 7
        if byte != 127:  # not a number
            lead, power = (1, exponent - 7) if exponent else (0, -6)
            found.append((lead + mantissa / 8) * 2.0**power)
    return np.array(sorted({*found, *(-item for item in found)}))


def nearest(array: Array) -> Array:
    """Every element's nearest number, the largest one beyond the end."""
    every = numbers()
    return every[np.abs(np.asarray(array, np.float64)[..., None] - every).argmin(-1)]


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_weights_become_the_nearest_number(axis: int | None) -> None:
    array = np.random.default_rng(0).normal(0, 0.3, (5, 6, 3)).astype(np.float32)
    array[:, 2] = 0
    rounded, scales = float8_weight(array, axis)
    shape = [1] * 3
    if axis is not None:
        shape[axis] = -1
    assert scales.shape == (() if axis is None else (array.shape[axis],))
    exact = array / scales.reshape(shape)
    np.testing.assert_array_equal(rounded.astype(np.float64), nearest(exact))
    largest = np.abs(rounded.astype(np.float32)).max()
    assert largest == 448


def product(tmp_path: Path) -> modelport.Model:
    """y = relu(x @ w + b)."""
    rng = np.random.default_rng(1)
    body = (
        "g (float[N,8] x) => (float[N,4] y) <float[8,4] w, float[4] b> "
        "{ m = MatMul(x, w) a = Add(m, b) y = Relu(a) }"
    )
    path = onnx_text(tmp_path / "m.onnx", body)
    proto = onnx.load(path)
    for name, shape in (("w", (8, 4)), ("b", (4,))):
        array = rng.normal(0, 1, shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    del proto.graph.input[1:]
    onnx.save(proto, path)
    return modelport.Model.load(path)


def test_a_product_computes_with_them(tmp_path: Path) -> None:
    model = product(tmp_path)
    table = CalibrationTable({"x": (-2.5, 2.0), "a": (-1.0, 1.0)})
    made = convert(model, "fp8", table=table)
    types = {value.dtype for node in made.ir.graph for value in node.outputs}
    assert ir.DataType.FLOAT8E4M3FN in types
    assert made.opset >= 19
    onnx.checker.check_model(made.save(tmp_path / "f8.onnx"))
    weights = {name: value.const_value for name, value in model.ir.graph.initializers.items()}
    w, b = (np.asarray(weights[name].numpy()) for name in "wb")
    # Beyond the range the largest number stands for everything.
    x = np.random.default_rng(2).normal(0, 1.5, (40, 8)).astype(np.float32)
    step = float8_scale(-2.5, 2.0)
    assert step == np.float32(2.5 / 448)
    steps = np.abs(w).max(0) / np.float32(448)
    expected = np.maximum((nearest(x / step) * step) @ (nearest(w / steps) * steps) + b, 0)
    session = open_session(tmp_path / "f8.onnx", Target("onnxruntime"))
    (actual,) = session.run(None, {"x": x})
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def test_without_data_there_is_no_rewrite(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not turn to fp8 without data"):
        convert(product(tmp_path), "fp8")


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = torch.nn.Conv2d(3, 16, 3, padding=1)
        self.second = torch.nn.Conv2d(16, 16, 3, padding=1)
        self.last = torch.nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x))
        x = x + torch.relu(self.second(x))
        return self.last(x.mean((2, 3)))


def batch(seed: int) -> Array:
    return np.random.default_rng(seed).normal(0, 1, (2, 3, 8, 8)).astype(np.float32)


DATA = [{"x": batch(seed)} for seed in range(8)]


def recipe() -> modelport.Recipe:
    dynamic = {"x": {0: modelport.Dim("n", 1, 4)}}
    example = torch.from_numpy(batch(0))
    return modelport.Recipe(Net(), args=(example,), input_names=["x"], dynamic=dynamic)


@pytest.mark.slow
def test_it_is_deployed_from_data(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    target = Target.parse("tensorrt-rtx:fp8:sm89:sm120")
    deployed = modelport.deploy(recipe(), tmp_path / "net.port", targets=[target], data=DATA)
    worst = deployed.verifications[target].worst
    assert worst is not None
    assert worst.max_rel > 0
    (path,) = (tmp_path / "net.port").glob("engines/*.json")
    layers = json.loads(path.read_text())["layers"]
    assert "float8_e4m3fn" in {item["dtype"] for layer in layers for item in layer["inputs"]}


def test_engines_have_it_from_sm89_up(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    table = CalibrationTable({"x": (-2.0, 2.0)})
    model = convert(product(tmp_path), "fp8", table=table)
    built = modelport.compile(model, tmp_path / "m.engine", target="tensorrt-rtx:fp8:sm89").record
    assert "float8_e4m3fn" in {dtype for layer in built.layers for dtype in layer.dtypes}
    with pytest.raises(BuildError, match="cannot build") as caught:
        modelport.compile(model, tmp_path / "n.engine", target="tensorrt-rtx:fp8:sm86")
    assert "before sm89 have no floats of 8 bits" in str(caught.value.why)


@pytest.mark.slow
def test_quantize_searches_for_it(tmp_path: Path, cli: RunCli) -> None:
    model = modelport.export(recipe())
    found = quantize(model, DATA, precision="fp8", max_drop=0.01)
    assert 0 <= found.drop <= 0.01
    path = model.save(tmp_path / "net.onnx")
    np.savez(tmp_path / "data.npz", **DATA[0])
    made = tmp_path / "f8.onnx"
    ran = cli(
        *("quantize", path, "--fp8", "--data", tmp_path / "data.npz", "-o", made),
        *("--max-drop", 0.05, "--json"),
    )
    assert ran.code == 0, ran.err
    types = {value.dtype for node in ir.load(made).graph for value in node.outputs}
    assert ir.DataType.FLOAT8E4M3FN in types
