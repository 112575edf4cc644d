"""Operators that OpenVINO computes otherwise than ONNX says: written with others, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

import modelport
from modelport import BuildError, Model, Target
from modelport.backends import get_backend, lint_rules, open_engine
from modelport.backends.base import Artifact
from modelport.graph import lint
from modelport.passes.legalization import prepare
from tests.support import Arrays, onnx_text

RNG = np.random.default_rng(0)


def deployed(path: Path, inputs: Arrays) -> list[np.ndarray]:
    bundle = path.with_suffix(".port")
    modelport.deploy(path, bundle, targets=["openvino"])
    return list(modelport.load(bundle).run(inputs).values())


@pytest.mark.parametrize(
    ("shape", "opset"),
    [((2, 3, 4, 5), 13), ((3,), 18), ((2, 2), 11), ((1, 5, 1), 16), ((4, 1, 2, 1, 3), 20)],
)
def test_tile_by_repeats_of_a_run(tmp_path: Path, shape: tuple[int, ...], opset: int) -> None:
    sizes = ", ".join(map(str, shape))
    rank = len(shape)
    unknown = ", ".join("?" * rank)
    # Repeats are as many as the sizes of another input, so that drawn cases are small.
    body = f"""g (float[{sizes}] x, float[{", ".join("abcde"[:rank])}] like) => (float[{unknown}] y)
        {{ r = Shape(like) y = Tile(x, r) }}"""
    path = onnx_text(tmp_path / "m.onnx", body, opset=opset, ir_version=7)
    x = RNG.standard_normal(shape).astype(np.float32)
    like = np.zeros(RNG.integers(1, 5, rank), np.float32)
    (result,) = deployed(path, {"x": x, "like": like})
    np.testing.assert_array_equal(result, np.tile(x, like.shape))


def recurrent(path: Path, op: str, count: int, given: bool, outputs: list[str]) -> Path:
    """A layer of batches first, with hidden size 4; `count` gates."""
    weights = {
        "w": RNG.standard_normal((1, 4 * count, 3)),
        "r": RNG.standard_normal((1, 4 * count, 4)),
        "b": RNG.standard_normal((1, 8 * count)),
    }
    states = (["h"] + (["c"] if op == "LSTM" else [])) if given else []
    names = ["x", "w", "r", "b", "", *states]
    node = helper.make_node(op, names, outputs, hidden_size=4, layout=1)
    graph = helper.make_graph(
        [node],
        "g",
        [
            helper.make_tensor_value_info("x", 1, [2, 5, 3]),
            *(helper.make_tensor_value_info(name, 1, [2, 1, 4]) for name in states),
        ],
        [helper.make_tensor_value_info(name, 1, None) for name in outputs if name],
        [onnx.numpy_helper.from_array(a.astype(np.float32), n) for n, a in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    onnx.save(onnx.shape_inference.infer_shapes(model), path)
    return path


def steps_first(path: Path) -> onnx.ModelProto:
    """The same layer with `layout` 0, whose inputs and outputs are transposed outside."""
    model = onnx.load(path)
    (node,) = model.graph.node
    next(item for item in node.attribute if item.name == "layout").i = 0
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.ClearField("shape")
    return model


@pytest.mark.parametrize(
    ("op", "gates", "given", "outputs"),
    [
        ("GRU", 3, False, ["y", "yh"]),
        ("GRU", 3, True, ["", "yh"]),
        ("LSTM", 4, False, ["y", "yh", "yc"]),
        ("LSTM", 4, True, ["y"]),
        ("RNN", 1, True, ["y", "yh"]),
    ],
)
def test_recurrent_layers_of_batches_first(
    tmp_path: Path, op: str, gates: int, given: bool, outputs: list[str]
) -> None:
    path = recurrent(tmp_path / "m.onnx", op, gates, given, outputs)
    model = Model.load(path)
    inputs = {
        spec.name: RNG.standard_normal(spec.shape).astype(np.float32)  # type: ignore[arg-type]
        for spec in model.signature.inputs
    }
    ready = prepare(model, Target("openvino")).save(tmp_path / "ready.onnx")
    artifact = get_backend(Target("openvino")).compile(tmp_path, ready.name, Target("openvino"))
    found = open_engine(tmp_path, artifact, Target("openvino"), model.signature).run(inputs)
    onnx.save(steps_first(path), tmp_path / "steps.onnx")
    # ONNX Runtime has no batches first, and OpenVINO computes steps first as ONNX says.
    session = onnxruntime.InferenceSession(str(tmp_path / "steps.onnx"))
    swapped = {name: array.swapaxes(0, 1) for name, array in inputs.items()}
    names = [name for name in outputs if name]
    expected: dict[str, Any] = dict(zip(names, session.run(names, swapped), strict=True))
    for name, array in expected.items():
        order = (2, 0, 1, 3) if name == "y" else (1, 0, 2)
        np.testing.assert_allclose(found[name], array.transpose(order), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("threshold", [0.0, 1 / 3, 0.5, 0.75, 0.6])
@pytest.mark.parametrize("known", [True, False])
def test_boxes_that_overlap_by_the_threshold_stay(
    tmp_path: Path, threshold: float, known: bool
) -> None:
    given = "" if known else ", float[1] t"
    constant = f", float[1] t = {{{np.float32(threshold)!s}}}" if known else ""
    body = f"""g (float[1, 3, 4] boxes, float[1, 1, 3] scores{given}) => (int64[?, 3] y)
        <int64[1] most = {{3}}{constant}> {{ y = NonMaxSuppression(boxes, scores, most, t) }}"""
    path = onnx_text(tmp_path / "m.onnx", body, opset=11, ir_version=7)
    prepare(Model.load(path), Target("openvino")).save(tmp_path / "ready.onnx")
    engine = open_engine(tmp_path, Artifact("ready.onnx"), Target("openvino"))
    width = 2 * (1 - threshold) / (1 + threshold)
    boxes = np.array([[[0, 0, 2, 2], [0, width, 2, 2 + width], [5, 5, 6, 6]]], np.float32)
    inputs = {"boxes": boxes, "scores": np.array([[[0.9, 0.8, 0.7]]], np.float32)}
    inputs |= {} if known else {"t": np.array([threshold], np.float32)}
    expected = modelport.load(path).run(inputs)["y"]
    np.testing.assert_array_equal(engine.run(inputs)["y"], expected)


@pytest.mark.parametrize(
    ("opset", "body", "form"),
    [
        (18, 'g (float[1, 1, 8, 8] x) => (float[1, 1, 4, 4] y) <int64[4] s = {1, 1, 4, 4}> '
         '{ y = Resize<mode = "linear", antialias = 1>(x, "", "", s) }', "antialias"),
        (18, 'g (float[1, 1, 8, 8] x) => (float[1, 1, 4, 4] y) <float[4] s = {1, 1, 0.5, 0.5}> '
         '{ y = Resize<mode = "cubic", exclude_outside = 1>(x, "", s) }', "exclude_outside"),
        (18, 'g (float[1, 1, 8, 8] x) => (float[1, 1, ?, ?] y) <int64[4] s = {1, 1, 4, 6}> '
         '{ y = Resize<keep_aspect_ratio_policy = "not_larger">(x, "", "", s) }', "aspect"),
        (17, "g (float[1, 8, 1] x) => (float[1, 5, 2] y) { y = DFT<onesided = 1>(x) }", "onesided"),
        (18, "g (float[0, 3] x) => (float[1, 3] y) <int64[1] a = {0}> { y = ReduceMax(x, a) }",
         "of nothing"),
    ],
)  # fmt: skip
def test_faults_are_named_and_refused(tmp_path: Path, opset: int, body: str, form: str) -> None:
    path = onnx_text(tmp_path / "m.onnx", body, opset=opset)
    onnx.checker.check_model(onnx.load(path))
    found = lint(Model.load(path), lint_rules("openvino"))
    assert any(item.rule == "engine-fault" and form in item.message for item in found)
    with pytest.raises(BuildError, match=form):
        modelport.deploy(path, tmp_path / "m.port", targets=["openvino"])
    assert not (tmp_path / "m.port").exists()
    ReferenceEvaluator(onnx.load(path))


def test_onnx_runtime_refuses_its_own(tmp_path: Path) -> None:
    body = """g (float[1, 1, 2, 2] x, int64[1, 1, 2, 2] i) => (float[1, 1, 5, 5] y)
        <int64[4] s = {1, 1, 5, 5}>
        { y = MaxUnpool<kernel_shape = [2, 2], strides = [2, 2]>(x, i, s) }"""
    path = onnx_text(tmp_path / "m.onnx", body, opset=13)
    found = lint(Model.load(path), lint_rules("onnxruntime"))
    assert "output_shape" in found[0].message
    with pytest.raises(BuildError, match="output_shape"):
        modelport.deploy(path, tmp_path / "m.port", targets=["onnxruntime"])
