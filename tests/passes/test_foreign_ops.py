"""Foreign nodes become the library's operators, and compute what they computed there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

import modelport
from modelport.capture.reference_model import open_graph, read_graph
from modelport.passes import adopt
from tests.support import Arrays


def file_of(
    path: Path, domain: str, op_type: str, inputs: Arrays, output: list[int], **attributes: Any
) -> Path:
    """A file of one node."""
    graph = helper.make_graph(
        [helper.make_node(op_type, list(inputs), ["y"], domain=domain, **attributes)],
        "one",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, list(array.shape))
            for name, array in inputs.items()
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, output)],
    )
    opsets = [helper.make_opsetid("", 19), helper.make_opsetid(domain, 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


def deployed(path: Path, inputs: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """What the bundle of a file gives; deploying it compares the kernel with the body."""
    bundle = path.with_suffix(".port")
    modelport.deploy(str(path), bundle)
    return modelport.load(bundle).run(inputs)["y"]


def random(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(("code", "mode"), [(0, "bilinear"), (1, "nearest")])
def test_grid_sampler_of_mmdeploy(code: int, mode: str, tmp_path: Path) -> None:
    inputs = {"x": random(2, 3, 5, 6), "grid": np.tanh(random(2, 4, 3, 2))}
    path = file_of(
        *(tmp_path / "m.onnx", "mmdeploy", "grid_sampler", inputs, [2, 3, 4, 3]),
        interpolation_mode=code,
        padding_mode=1,
        align_corners=1,
    )
    x, grid = map(torch.from_numpy, inputs.values())
    expected = torch.nn.functional.grid_sample(x, grid, mode, "border", align_corners=True)
    np.testing.assert_allclose(deployed(path, inputs), expected.numpy(), rtol=1e-4, atol=1e-5)


def test_modulated_deform_conv_of_mmcv_without_offsets_is_a_convolution(tmp_path: Path) -> None:
    x, weight, bias = random(1, 4, 7, 6), random(6, 4, 3, 3), random(6)
    # Height 7 with stride 2 and padding 1, width 6 with stride 1 and padding 2.
    inputs = {
        "x": x,
        "offset": np.zeros((1, 18, 4, 8), np.float32),
        "mask": np.full((1, 9, 4, 8), 0.5, np.float32),
        "weight": weight,
        "bias": bias,
    }
    path = file_of(
        *(tmp_path / "m.onnx", "mmdeploy", "MMCVModulatedDeformConv2d", inputs, [1, 6, 4, 8]),
        stride=[2, 1],
        padding=[1, 2],
        dilation=[1, 1],
        groups=1,
        deform_groups=1,
    )
    expected = torch.nn.functional.conv2d(
        torch.from_numpy(x), torch.from_numpy(weight) / 2, torch.from_numpy(bias), (2, 1), (1, 2)
    )
    np.testing.assert_allclose(deployed(path, inputs), expected.numpy(), rtol=1e-4, atol=1e-4)


def test_foo_of_onnxruntime(tmp_path: Path) -> None:
    inputs = {"a": random(3, 5), "b": random(3, 5)}
    path = file_of(tmp_path / "foo_1.onnx", "test.customop", "Foo", inputs, [3, 5])
    np.testing.assert_array_equal(deployed(path, inputs), inputs["a"] + inputs["b"])


def test_nodes_that_nobody_knows_stay(tmp_path: Path) -> None:
    path = file_of(tmp_path / "m.onnx", "elsewhere", "Foo", {"a": random(2)}, [2])
    model = modelport.Model.load(path)
    assert adopt(model) == []
    assert model.operators() == {("elsewhere", "Foo")}


def test_attributes_that_the_operator_lacks_are_named(tmp_path: Path) -> None:
    inputs = {"x": random(1, 1, 4, 4), "rois": np.zeros((1, 5), np.float32)}
    path = file_of(
        *(tmp_path / "m.onnx", "mmcv", "MMCVRoiAlign", inputs, [1, 1, 2, 2]),
        output_height=2,
        output_width=2,
        spatial_scale=1.0,
        mode="max",
    )
    with pytest.raises(modelport.PassError, match="MMCVRoiAlign") as raised:
        adopt(modelport.Model.load(path))
    assert "averages" in str(raised.value)


def node_file(
    path: Path, node: onnx.NodeProto, inputs: Arrays, outputs: dict[str, int], **constants: Any
) -> Path:
    """A file of one node; the outputs are given as types of elements."""
    graph = helper.make_graph(
        [node],
        "one",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(array.dtype), [None] * array.ndim
            )
            for name, array in inputs.items()
        ],
        [helper.make_tensor_value_info(name, type_, None) for name, type_ in outputs.items()],
        [onnx.numpy_helper.from_array(np.array(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 19), helper.make_opsetid(node.domain, 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


def run_file(path: Path, inputs: Arrays) -> list[np.ndarray[Any, Any]]:
    read = read_graph(path)
    return list(open_graph(path, read, read.signature).run(inputs).values())


@pytest.mark.parametrize("attributes", [{}, {"align_corners": 1}])
def test_dynamic_resize_of_a_tutorial(attributes: dict[str, int], tmp_path: Path) -> None:
    inputs = {"x": random(1, 2, 5, 6), "scales": np.array([2.5, 2], np.float32)}
    node = helper.make_node(
        "DynamicTRTResize", list(inputs), ["y"], domain="Just_A_Scope_Name", **attributes
    )
    path = node_file(tmp_path / "m.onnx", node, inputs, {"y": TensorProto.FLOAT})
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(inputs["x"]),
        scale_factor=(2.5, 2.0),
        mode="bicubic",
        align_corners=bool(attributes),
    )
    (output,) = run_file(path, inputs)
    np.testing.assert_allclose(output, expected.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("as_input", [True, False])
def test_knn_query_of_a_tutorial(as_input: bool, tmp_path: Path) -> None:
    xyz, queries = random(20, 3), random(9, 3) + 0.1
    inputs = {"xyz": xyz, "offset": np.array([8, 20], np.int32)}
    inputs |= {"new_xyz": queries, "new_offset": np.array([4, 9], np.int32)}
    names, attributes, constants = list(inputs), {"nsample": 4}, {}
    op_type = "KNNQuery"
    if as_input:
        op_type, names, attributes, constants = "knnquery", ["n", *names], {}, {"n": 4}
    node = helper.make_node(op_type, names, ["idx", "dist"], domain="custom", **attributes)
    outputs = {"idx": TensorProto.INT32, "dist": TensorProto.FLOAT}
    idx, dist = run_file(node_file(tmp_path / "m.onnx", node, inputs, outputs, **constants), inputs)
    distances = np.linalg.norm(queries[:, None].astype(np.float64) - xyz[None], axis=2)
    distances[:4, 8:] = distances[4:, :8] = np.inf
    np.testing.assert_array_equal(idx, np.argsort(distances, axis=1)[:, :4])
    np.testing.assert_allclose(dist, np.sort(distances, axis=1)[:, :4], rtol=1e-4)


def test_knn_query_whose_number_is_no_constant_is_named(tmp_path: Path) -> None:
    inputs = {"n": np.array(4), "xyz": random(4, 3), "offset": np.array([4], np.int32)}
    node = helper.make_node("knnquery", list(inputs), ["i", "d"], domain="custom", name="near")
    outputs = {"i": TensorProto.INT32, "d": TensorProto.FLOAT}
    path = node_file(tmp_path / "m.onnx", node, inputs, outputs)
    with pytest.raises(modelport.PassError, match="custom::knnquery") as raised:
        read_graph(path)
    assert "input 0 is no constant" in str(raised.value)
    assert "near" in str(raised.value)


def test_voxels_of_a_tutorial(tmp_path: Path) -> None:
    pos, size = random(30, 3), np.array([0.5, 0.4, 0.7], np.float32)
    node = helper.make_node("torch_cluster_grid", ["pos", "size"], ["y"], domain="custom")
    inputs = {"pos": pos, "size": size}
    (output,) = run_file(
        node_file(tmp_path / "m.onnx", node, inputs, {"y": TensorProto.INT64}), inputs
    )
    places = ((pos - pos.min(0)) / size).astype(np.int64)
    counts = ((pos.max(0) - pos.min(0)) / size).astype(np.int64) + 1
    np.testing.assert_array_equal(output, places @ [1, counts[0], counts[0] * counts[1]])


def test_what_a_model_exports_under_a_name_of_tutorials_keeps_it(tmp_path: Path) -> None:
    node = helper.make_node("torch_cluster_grid", ["pos", "size"], ["y"], domain="custom")
    inputs = {"pos": random(3, 2), "size": random(2)}
    path = node_file(tmp_path / "m.onnx", node, inputs, {"y": TensorProto.INT64})
    model = modelport.Model.load(path)
    assert adopt(model) == []
    assert model.operators() == {("custom", "torch_cluster_grid")}
