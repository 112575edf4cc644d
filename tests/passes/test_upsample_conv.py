"""Upsampling merged with a convolution computes what PyTorch does, the border included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from modelport import Model, Target
from modelport.backends import get_backend
from modelport.backends.base import Artifact
from modelport.passes import applicable, rewritten
from tests.support import Array, onnx_text

ORDERS = {"linear": "bilinear", "cubic": "bicubic"}


class Net:
    """An upsampling, a convolution, and maybe more, as an ONNX file and in float64."""

    def __init__(self, factor: int, mode: str, kernel: tuple[int, int], tail: str, seed: int):
        rng = np.random.default_rng(seed)
        self.factor, self.mode, self.tail = factor, mode, tail
        shapes = {"w": (6, 2, *kernel), "b": (6,), "v": (4, 6, 1, 1), "u": (3, 4, 3, 5), "d": (3,)}
        self.weights = {
            name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()
        }

    def save(self, path: Path) -> Path:
        """Writes the graph."""
        pads = [size // 2 for size in self.weights["w"].shape[2:]] * 2
        body = f"""g (float[N, 2, H, W] x) => (float[N, C, Y, X] y) {{
            up = Resize <mode = "{self.mode}", cubic_coeff_a = -0.75> (x, , s)
            c = Conv <pads = {pads}> (up, w, b)
        """
        if self.tail == "deep":
            body += """r = Relu(c)
                e = Conv(r, v)
                t = Tanh(e)
                y = Conv <pads = [1, 2, 1, 2]> (t, u, d)
            }"""
        else:
            body += "y = Relu(c) }" if self.tail == "relu" else "y = Identity(c) }"
        model = onnx.load(onnx_text(path, body))
        scales = np.array([1, 1, self.factor, self.factor], np.float32)
        for name, array in {**self.weights, "s": scales}.items():
            model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
        onnx.save(model, path)
        return path

    def __call__(self, x: Array) -> Array:
        """What PyTorch makes of a picture, in float64."""
        w = {name: torch.from_numpy(array).double() for name, array in self.weights.items()}
        up = functional.interpolate(
            torch.from_numpy(x).double(), scale_factor=self.factor, mode=ORDERS[self.mode]
        )
        pads = [size // 2 for size in w["w"].shape[2:]]
        y = functional.conv2d(up, w["w"], w["b"], padding=pads)
        if self.tail != "plain":
            y = y.relu()
        if self.tail == "deep":
            y = functional.conv2d(
                functional.conv2d(y, w["v"]).tanh(), w["u"], w["d"], padding=(1, 2)
            )
        return np.asarray(y.numpy())


def require_equal(net: Net, path: Path, sizes: list[tuple[int, int]]) -> None:
    model = rewritten(Model.load(net.save(path)), ["merge-upsampling"])
    session = onnxruntime.InferenceSession(model.save(path), providers=["CPUExecutionProvider"])
    for height, width in sizes:
        x = np.random.default_rng(height).normal(size=(2, 2, height, width)).astype(np.float32)
        wanted = net(x)
        (came,) = session.run(None, {"x": x})
        assert came.shape == wanted.shape
        scale = np.sqrt(np.mean(wanted**2))
        np.testing.assert_allclose(came, wanted, rtol=0, atol=2e-5 * scale)


SMALL = [(1, 1), (1, 9), (2, 3), (7, 1), (4, 5)]


@settings(max_examples=25, deadline=None)
@given(
    factor=st.sampled_from([2, 3, 4]),
    mode=st.sampled_from(["linear", "cubic"]),
    kernel=st.tuples(st.sampled_from([3, 5, 7, 9]), st.sampled_from([3, 5, 7, 9])),
    tail=st.sampled_from(["plain", "relu", "deep"]),
    size=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    seed=st.integers(0, 1000),
)
def test_result_is_pytorchs_in_float64(
    tmp_path_factory: pytest.TempPathFactory,
    factor: int,
    mode: str,
    kernel: tuple[int, int],
    tail: str,
    size: tuple[int, int],
    seed: int,
) -> None:
    net = Net(factor, mode, kernel, tail, seed)
    require_equal(net, tmp_path_factory.mktemp("net") / "m.onnx", [size])


@pytest.mark.parametrize(
    ("factor", "mode"), [(2, "linear"), (3, "linear"), (4, "linear"), (3, "cubic"), (4, "cubic")]
)
def test_small_pictures_are_all_border(tmp_path: Path, factor: int, mode: str) -> None:
    net = Net(factor, mode, (9, 9), "deep", seed=0)
    model = Model.load(net.save(tmp_path / "m.onnx"))
    assert "merge-upsampling" in applicable(model)
    require_equal(net, tmp_path / "m.onnx", SMALL)


def test_openvino_takes_small_pictures_too(tmp_path: Path) -> None:
    net = Net(3, "cubic", (9, 9), "deep", seed=0)
    model = rewritten(Model.load(net.save(tmp_path / "m.onnx")), ["merge-upsampling"])
    model.save(tmp_path / "m.onnx")
    target = Target("openvino")
    engine = get_backend(target).load(tmp_path, Artifact("m.onnx"), target)
    for height, width in (*SMALL, (40, 30)):
        x = np.random.default_rng(height).normal(size=(2, 2, height, width)).astype(np.float32)
        wanted = net(x)
        scale = np.sqrt(np.mean(wanted**2))
        # Its Resize, near the border, is off by that.
        np.testing.assert_allclose(engine.run({"x": x})["y"], wanted, rtol=0, atol=1e-3 * scale)


def test_large_convolution_reads_the_small_picture(tmp_path: Path) -> None:
    net = Net(3, "linear", (9, 9), "deep", seed=0)
    model = Model.load(net.save(tmp_path / "m.onnx"))
    merged = rewritten(model, ["merge-upsampling"])
    assert [node.op_type for node in model.ir.graph] == [
        "Resize",
        "Conv",
        "Relu",
        "Conv",
        "Tanh",
        "Conv",
    ]
    nodes = [node for node in merged.ir.graph if node.op_type != "Constant"]
    # All that has no width goes before the places are put together.
    head = ["Pad", "Conv", "Relu", "Conv", "Tanh", "DepthToSpace", "Conv"]
    assert [node.op_type for node in nodes[:7]] == head
    assert nodes[1].inputs[1] is not None
    assert nodes[1].inputs[1].shape == (9 * 6, 2, 5, 5)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: text.replace("linear", "nearest"), "no gain is to be had"),
        (lambda text: text.replace('mode = "linear"', 'mode = "linear", antialias = 1'), "wider"),
        (lambda text: text.replace("(up, w)", "(up, w2)"), "the weights are computed"),
        (lambda text: text.replace("pads = [4, 4, 4, 4]", "pads = [0, 0, 0, 0]"), "no same size"),
        (lambda text: text.replace("strides = [1, 1]", "strides = [2, 2]"), "no same size"),
        (lambda text: text.replace("y = Relu(c)", "y = Add(c, up2)"), "read twice"),
        (lambda text: text.replace("3.0, 3.0", "2.0, 3.0"), "of two factors"),
        (lambda text: text.replace("3.0, 3.0", "1.5, 1.5"), "no whole factor"),
    ],
)
def test_what_does_not_fit_is_left(tmp_path: Path, change: Any, why: str) -> None:
    text = change("""g (float[1, 1, 8, 8] x) => (float[1, 1, Y, X] y)
        <float[4] s = {1.0, 1.0, 3.0, 3.0}, float[1, 1, 9, 9] w = {WEIGHTS}> {
            up = Resize <mode = "linear"> (x, , s)
            up2 = Identity(up)
            w2 = Abs(w)
            c = Conv <pads = [4, 4, 4, 4], strides = [1, 1]> (up, w)
            y = Relu(c)
        }""")
    if "up2)" not in text:
        text = text.replace("up2 = Identity(up)", "")
    text = text.replace("WEIGHTS", ", ".join(["0.5"] * 81))
    model = Model.load(onnx_text(tmp_path / "m.onnx", text))
    assert "merge-upsampling" not in applicable(model), why
