"""What is done to a graph before it turns to 8 bits keeps what it computes, and helps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import modelport
from modelport import calibrate
from modelport.graph import expose
from modelport.ir.shape_inference import infer_shapes
from modelport.precision import convert
from modelport.precision.ptq_corrections import bias_errors, correct_biases, equalize, smooth
from modelport.precision.qdq import LEVELS
from tests.precision.nets import Arrays, attentive, eager, pictures, residual, sentences
from tests.precision.support import relative_error, run


def changed(model: modelport.Model, change: Any, cases: list[Arrays]) -> modelport.Model:
    copy = model.copy()
    infer_shapes(copy.ir)
    assert change(copy, cases, ())
    return copy


def test_smoothing_keeps_the_model_and_helps_where_a_channel_stands_out(tmp_path: Path) -> None:
    net, model = attentive(20.0)
    cases = sentences(8)
    smoothed = changed(model, smooth, cases)
    errors = []
    for name, each in (("plain", model), ("smooth", smoothed)):
        (same,) = run(each.save(tmp_path / f"{name}.onnx"), cases[0])
        assert relative_error(same, eager(net, cases[0])) < 1e-5
        table = calibrate(each, cases, method="minmax")
        low = convert(each, "int8", table=table).save(tmp_path / f"{name}8.onnx")
        unseen = sentences(4, seed=9)
        errors.append(
            np.mean([relative_error(run(low, case)[0], eager(net, case)) for case in unseen])
        )
    assert errors[1] < 0.6 * errors[0]


def test_equalization_keeps_the_model_and_levels_channels(tmp_path: Path) -> None:
    net, model = residual()
    equal = changed(model, equalize, [])
    case = pictures(1, seed=3)[0]
    (same,) = run(equal.save(tmp_path / "e.onnx"), case)
    assert relative_error(same, eager(net, case)) < 1e-5
    # The second and the third convolution have only a ReLU between them.
    convolutions = [node for node in equal.ir.graph if node.op_type == "Conv"]
    second, third = (node.inputs[1].const_value.numpy() for node in convolutions[1:3])  # type: ignore[union-attr]
    before, behind = np.abs(second).max((1, 2, 3)), np.abs(third).max((0, 2, 3))
    np.testing.assert_allclose(before, behind, rtol=1e-2)
    original = [node for node in model.ir.graph if node.op_type == "Conv"]
    first = original[0].inputs[1].const_value.numpy()  # type: ignore[union-attr]
    kept = convolutions[0].inputs[1].const_value.numpy()  # type: ignore[union-attr]
    np.testing.assert_array_equal(first, kept)


def test_correction_takes_the_mean_error_out(tmp_path: Path) -> None:
    _, model = residual()
    # Without negative inputs, the error of the weights does not cancel out.
    cases = [{"x": np.abs(case["x"]) + 1} for case in pictures(12)]
    corrected = model.copy()
    infer_shapes(corrected.ir)
    errors = bias_errors(corrected, cases, (), LEVELS["unsigned"])
    correct_biases(corrected, errors)
    table = calibrate(model, cases, method="minmax")
    keep = ["node_conv2d_1", "node_conv2d_2", "node_conv2d_3", "node_linear"]
    means = []
    for name, each in (("plain", model), ("corrected", corrected)):
        low = expose(convert(each, "int8", table=table, keep=keep), ["conv2d"])
        path = low.save(tmp_path / f"{name}.onnx")
        full = expose(model, ["conv2d"]).save(tmp_path / "full.onnx")
        off = [run(path, case)[1] - run(full, case)[1] for case in cases]
        means.append(np.abs(np.mean(off, axis=(0, 1, 3, 4))))
    assert np.mean(means[1]) < 0.6 * np.mean(means[0])


def test_improvements_are_chosen_by_what_they_bring() -> None:
    result = modelport.quantize(
        attentive(20.0)[1], sentences(20), max_drop=2e-2, method="minmax", form="symmetric"
    )
    assert "smooth" in result.improvements
    assert result.drop <= 2e-2


def test_what_stays_in_float32_is_not_corrected() -> None:
    _, model = residual()
    result = modelport.quantize(model, pictures(30), max_drop=1e-6)
    assert "correct" in result.improvements
    assert 0 < len(result.kept) < result.operators
    biases = {
        str(node.name): node.inputs[2].const_value.numpy()  # type: ignore[union-attr]
        for each in (model, result.model)
        for node in each.ir.graph
        if node.op_type == "Conv"
    }
    given = {str(node.name): node for node in model.ir.graph}
    for name in set(result.kept) & set(biases):
        np.testing.assert_array_equal(
            biases[name],
            given[name].inputs[2].const_value.numpy(),  # type: ignore[union-attr]
        )
