"""Operators that OpenVINO lacks run there by their bodies, and equal PyTorch's results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import modelport
from modelport.ops.library.deform_conv2d.op import deform_conv2d
from modelport.ops.library.hswish.op import hswish
from modelport.ops.library.knn_query.op import knn_query
from modelport.ops.library.roi_align.op import roi_align
from modelport.passes import prepare
from tests.support import onnx_text


class Neighbours(torch.nn.Module):
    def forward(self, xyz: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        cloud = torch.full((1,), xyz.shape[0], dtype=torch.int32)
        return knn_query(xyz, cloud, nsample=4)


class Activation(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return hswish(x)


class Regions(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        boxes = torch.tensor([[0.0, 1, 1, 6, 6], [0.0, 0, 2, 5, 7]])
        return roi_align(x, boxes, pooled_height=3, pooled_width=2)


@pytest.mark.parametrize(
    ("net", "shape"),
    [(Neighbours(), (50, 3)), (Activation(), (5, 7)), (Regions(), (1, 2, 8, 8))],
    ids=["knn_query", "hswish", "roi_align"],
)
def test_bodies_stand_in_for_operators(
    tmp_path: Path, net: torch.nn.Module, shape: tuple[int, ...]
) -> None:
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    dynamic = {"x": {0: modelport.Dim("n", min=4, max=80)}} if shape[0] > 1 else None
    recipe = modelport.Recipe(net, (x,), input_names=["x"], dynamic=dynamic)
    deployed = modelport.deploy(recipe, tmp_path / "net.port", targets=["openvino"])
    assert any(finding.rule == "inlined-body" for finding in deployed.model.findings)
    found = modelport.load(tmp_path / "net.port", "openvino").run({"x": x.numpy()})
    expected = net(x)
    for array, tensor in zip(
        found.values(), expected if isinstance(expected, tuple) else (expected,), strict=True
    ):
        torch.testing.assert_close(torch.from_numpy(array), tensor, rtol=1e-4, atol=1e-5)


class Deformed(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.offset = torch.nn.Conv2d(3, 18, 3, padding=1)
        self.weight = torch.nn.Parameter(torch.randn(4, 3, 3, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return deform_conv2d(x, self.weight, self.offset(x), padding=[1, 1])


def test_deformable_convolution_becomes_samples(tmp_path: Path) -> None:
    x = torch.rand(2, 3, 9, 8, generator=torch.Generator().manual_seed(0))
    recipe = modelport.Recipe(Deformed(), (x,), input_names=["x"], opset=19)
    deployed = modelport.deploy(recipe, tmp_path / "net.port", targets=["openvino"])
    assert "rewritten-operator" in {finding.rule for finding in deployed.model.findings}


@pytest.mark.parametrize("onesided", [True, False])
@pytest.mark.parametrize("windowed", [True, False])
def test_spectrogram_of_any_length_is_pytorchs(
    tmp_path: Path, onesided: bool, windowed: bool
) -> None:
    window = torch.hann_window(24) if windowed else None
    body = (
        f"g (float[N, L, 1] x) => (float[N, F, K, 2] y) <int64 step = {{7}}, int64 size = {{24}}, "
        f"float[24] w = {{{', '.join(map(str, torch.hann_window(24).tolist()))}}}> "
        f"{{ y = STFT<onesided = {int(onesided)}>(x, step, {'w' if windowed else ''}, size) }}"
    )
    model = modelport.Model.load(onnx_text(tmp_path / "m.onnx", body))
    prepared = prepare(model, modelport.Target("openvino")).save(tmp_path / "prepared.onnx")
    engine = modelport.load(prepared, "openvino")
    for length in (24, 101):
        x = torch.randn(2, length, generator=torch.Generator().manual_seed(length))
        expected = torch.stft(
            x, 24, 7, window=window, center=False, onesided=onesided, return_complex=True
        )
        found = engine.run({"x": x[..., None].numpy()})["y"]
        wanted = torch.view_as_real(expected).transpose(1, 2)
        torch.testing.assert_close(torch.from_numpy(found), wanted, rtol=1e-4, atol=1e-4)


def test_of_equal_elements_the_first_ones_are_taken(tmp_path: Path) -> None:
    body = (
        "g (float[N, M] x) => (float[N, K] values, int64[N, K] places) <int64[1] k = {5}> "
        "{ values, places = TopK<largest = 0>(x, k) }"
    )
    engine = modelport.load(onnx_text(tmp_path / "m.onnx", body), "openvino")
    x = np.random.default_rng(0).integers(0, 4, (6, 40)).astype(np.float32)
    expected = np.argsort(x, axis=1, kind="stable")[:, :5]
    np.testing.assert_array_equal(engine.run({"x": x})["places"], expected)


@pytest.mark.parametrize(
    ("node", "pool"),
    [
        ("MaxPool<strides = [2, 2], kernel_shape = [3, 3]", torch.nn.MaxPool2d(3, 2)),
        (
            "MaxPool<strides = [2, 3], kernel_shape = [3, 4], pads = [0, 1, 0, 1], "
            "dilations = [2, 1]",
            torch.nn.MaxPool2d((3, 4), (2, 3), padding=(0, 1), dilation=(2, 1)),
        ),
        (
            "AveragePool<strides = [2, 2], kernel_shape = [3, 3]",
            torch.nn.AvgPool2d(3, 2, count_include_pad=False),
        ),
        (
            "MaxPool<strides = [2, 2], kernel_shape = [2, 2], pads = [1, 1, 1, 1]",
            torch.nn.MaxPool2d(2, 2, padding=1),
        ),
        (
            "AveragePool<strides = [3, 2], kernel_shape = [3, 2], pads = [1, 1, 1, 1]",
            torch.nn.AvgPool2d((3, 2), padding=1, count_include_pad=False),
        ),
    ],
    ids=["largest", "of the dilated", "mean", "only padding behind", "mean, only padding behind"],
)
def test_pooling_rounds_its_size_up_as_pytorch_does(
    tmp_path: Path, node: str, pool: torch.nn.MaxPool2d | torch.nn.AvgPool2d
) -> None:
    pool.ceil_mode = True
    body = f"g (float[N, C, H, W] x) => (float[N, C, h, w] y) {{ y = {node}, ceil_mode = 1>(x) }}"
    model = modelport.Model.load(onnx_text(tmp_path / "m.onnx", body))
    prepared = prepare(model, modelport.Target("openvino"))
    engine = modelport.load(prepared.save(tmp_path / "prepared.onnx"), "openvino")
    for height, width in ((4, 2), (5, 3), (6, 7), (7, 10)):
        x = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(width)) - 2
        (found,) = engine.run({"x": x.numpy()}).values()
        torch.testing.assert_close(torch.from_numpy(found), pool(x))


def test_scatter_of_nothing_is_what_it_would_be_written_to(tmp_path: Path) -> None:
    body = (
        "g (float[N, 3] x) => (float[N, 3] y) <int64[0, 1] nowhere = {}, float[0, 3] nothing = {}> "
        "{ y = ScatterND(x, nowhere, nothing) }"
    )
    model = modelport.Model.load(onnx_text(tmp_path / "m.onnx", body))
    prepared = prepare(model, modelport.Target("openvino"))
    engine = modelport.load(prepared.save(tmp_path / "prepared.onnx"), "openvino")
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(engine.run({"x": x})["y"], x)
