"""Files of older forms: initializers that are inputs or sparse, and sizes of -1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import modelport
from modelport import Model, UsageError

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def write(
    path: Path,
    *,
    inputs: dict[str, list[int]],
    weights: tuple[onnx.TensorProto, ...] = (),
    sparse: tuple[onnx.SparseTensorProto, ...] = (),
    version: int = 8,
) -> Path:
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info(name, 1, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info("y", 1, inputs["x"])],
        list(weights),
        sparse_initializer=list(sparse),
    )
    opset = 8 if version == 3 else 13
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=version
    )
    onnx.save(model, path)
    return path


def sparse(indices: np.ndarray, shape: list[int]) -> onnx.SparseTensorProto:
    return helper.make_sparse_tensor(
        onnx.numpy_helper.from_array(np.array([3.0, 4.0], np.float32), "w"),
        onnx.numpy_helper.from_array(indices.astype(np.int64), "indices"),
        shape,
    )


def test_initializer_is_no_input(tmp_path: Path) -> None:
    weight = onnx.numpy_helper.from_array(np.full((2, 3), 5, np.float32), "w")
    inputs = {"w": [2, 3], "x": [2, 3]}
    path = write(tmp_path / "m.onnx", inputs=inputs, weights=(weight,), version=3)
    model = Model.load(path)
    written = onnx.load(model.save(tmp_path / "written.onnx"))
    onnx.checker.check_model(written)
    assert [value.name for value in written.graph.input] == ["x"]
    outputs = modelport.load(tmp_path / "written.onnx").run({"x": X})
    np.testing.assert_array_equal(outputs["y"], X + 5)


@pytest.mark.parametrize(
    "indices", [np.array([1, 5]), np.array([[0, 1], [1, 2]])], ids=["linear", "by axis"]
)
@pytest.mark.parametrize("target", ["onnxruntime", "openvino"])
def test_sparse_initializer_is_deployed(tmp_path: Path, indices: np.ndarray, target: str) -> None:
    path = write(tmp_path / "m.onnx", inputs={"x": [2, 3]}, sparse=(sparse(indices, [2, 3]),))
    modelport.deploy(path, tmp_path / "m.port", targets=[target])
    outputs = modelport.load(tmp_path / "m.port").run({"x": X})
    np.testing.assert_array_equal(outputs["y"], X + np.array([[0, 3, 0], [0, 0, 4]], np.float32))


@pytest.mark.parametrize(
    ("indices", "shape"),
    [
        (np.array([1, 6]), [2, 3]),
        (np.array([-1, 2]), [2, 3]),
        (np.array([[0, 1, 0], [1, 2, 0]]), [2, 3]),
        (np.array([[0, 1], [2, 2]]), [2, 3]),
        (np.array([1, 2, 3]), [2, 3]),
        (np.array([1, 2]), [1 << 20, 1 << 20]),
    ],
)
def test_unsound_sparse_initializer_is_refused(
    tmp_path: Path, indices: np.ndarray, shape: list[int]
) -> None:
    path = write(tmp_path / "m.onnx", inputs={"x": [2, 3]}, sparse=(sparse(indices, shape),))
    with pytest.raises(UsageError, match=r"'w'|array"):
        Model.load(path)


@pytest.mark.parametrize("target", ["onnxruntime", "openvino"])
def test_size_of_minus_one_is_dynamic(tmp_path: Path, target: str) -> None:
    weight = onnx.numpy_helper.from_array(np.full(3, 5, np.float32), "w")
    path = write(tmp_path / "m.onnx", inputs={"x": [-1, 3]}, weights=(weight,))
    modelport.deploy(path, tmp_path / "m.port", targets=[target])
    engine = modelport.load(tmp_path / "m.port")
    for rows in (1, 2, 5):
        x = np.ones((rows, 3), np.float32)
        np.testing.assert_array_equal(engine.run({"x": x})["y"], x + 5)
