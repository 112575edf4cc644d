"""Graphs whose inputs or outputs OpenVINO's reader renames or drops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import modelport
from tests.support import onnx_text

X = np.array([[-1.0, 2.0, 3.0], [4.0, -5.0, 6.0]], np.float32)
Z = np.array([[10.0, 20.0, 30.0], [40.0, 50.0, 60.0]], np.float32)


@pytest.mark.parametrize(
    "first",
    ["Dropout(x)", "Sum(x)", "Max(x)", "Min(x)", "Mean(x)", "Identity(x)", "Dropout(x, ratio)"],
)
@pytest.mark.parametrize("order", ["x, z", "z, x"])
def test_renamed_input_is_fed(tmp_path: Path, first: str, order: str) -> None:
    given = ", ".join(f"float[2, 3] {name}" for name in order.split(", "))
    body = f"""g ({given}) => (float[2, 3] y) <float ratio = {{0.5}}>
        {{ d = {first} y = Sub(d, z) }}"""
    engine = modelport.load(onnx_text(tmp_path / "m.onnx", body), "openvino")
    np.testing.assert_array_equal(engine.run({"x": X, "z": Z})["y"], X - Z)
    bound = engine.bind({"x": X.copy(), "z": Z.copy()})
    np.testing.assert_array_equal(bound.run()["y"], X - Z)


@pytest.mark.parametrize(
    ("body", "unused"),
    [
        ("g (float[2, 3] u, float[2, 3] x, float[2, 3] z) => (float[2, 3] y)"
         "{ d = Dropout(x) y = Sub(d, z) }", X),
        ("g (float[2, 3] x, float[2, 3] z, float u) => (float[2, 3] y)"
         "{ d = Dropout(x, u) y = Sub(d, z) }", np.float32(0.5)),
        ("g (float[2, 3] x, float[4] u, float[2, 3] z) => (float[2, 3] y) <float[2] s = {1, 1}>"
         "{ d = Sum(x) r = Resize(d, u, s) y = Sub(r, z) }", np.ones(4, np.float32)),
    ],
)  # fmt: skip
def test_input_without_effect_is_left_out(tmp_path: Path, body: str, unused: np.ndarray) -> None:
    engine = modelport.load(onnx_text(tmp_path / "m.onnx", body), "openvino")
    outputs = engine.run({"x": X, "z": Z, "u": np.asarray(unused)})
    np.testing.assert_array_equal(outputs["y"], X - Z)


def test_outputs_that_share_a_tensor_are_each_given(tmp_path: Path) -> None:
    body = """g (float[2, 3] x) => (float[2, 3] a, float[2, 3] b, float[2, 3] c)
        { a = Relu(x) b = Identity(a) c = Dropout(a) }"""
    outputs = modelport.load(onnx_text(tmp_path / "m.onnx", body), "openvino").run({"x": X})
    for name in ("a", "b", "c"):
        np.testing.assert_array_equal(outputs[name], np.maximum(X, 0))


def test_deploy_of_a_renamed_input_agrees(tmp_path: Path) -> None:
    body = "g (float[2, 3] x) => (float[2, 3] y) { d = Dropout(x) y = Relu(d) }"
    path = onnx_text(tmp_path / "m.onnx", body)
    modelport.deploy(path, tmp_path / "m.port", targets=["openvino"])
    outputs = modelport.load(tmp_path / "m.port").run({"x": X})
    np.testing.assert_array_equal(outputs["y"], np.maximum(X, 0))
