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
from modelport.passes import adopt

Arrays = dict[str, np.ndarray[Any, Any]]


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
