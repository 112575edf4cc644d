"""int8: near PyTorch on unseen inputs, in the forms that the backends take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import modelport
from modelport import CalibrationTable, ProofError, UsageError
from modelport.precision import FORMS, convert, form_for, widen
from modelport.precision.quantization import QUANTIZATION_KEY
from tests.precision.nets import attentive, eager, pictures, residual, sentences
from tests.precision.support import relative_error, run

UNSEEN = pictures(6, seed=99)


def quantized(**options: Any) -> modelport.Quantization:
    return modelport.quantize(residual()[1], pictures(20), **{"max_drop": 0.01, **options})


@pytest.mark.parametrize("form", FORMS)
def test_convolutions_are_near_pytorch_on_unseen_inputs(tmp_path: Path, form: str) -> None:
    net, _ = residual()
    result = quantized(form=form)
    assert result.kept == ()
    assert result.operators == 5
    assert 0 < result.drop <= 0.01
    path = result.model.save(tmp_path / "q.onnx")
    onnx.checker.check_model(path, full_check=True)
    for case in UNSEEN:
        (actual,) = run(path, case)
        assert relative_error(actual, eager(net, case)) < 0.05


def test_openvino_computes_the_same(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    form = form_for(modelport.Target.parse("openvino"))
    path = quantized(form=form).model.save(tmp_path / "q.onnx")
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    net, _ = residual()
    for case in UNSEEN:
        (actual,) = compiled(case).values()
        assert relative_error(actual, eager(net, case)) < 0.05


@pytest.mark.parametrize("block", [residual, attentive])
def test_tensorrt_builds_the_symmetric_form(tmp_path: Path, block: Any) -> None:
    pytest.importorskip("tensorrt_rtx")
    data = pictures(10) if block is residual else sentences(10)
    result = modelport.quantize(block()[1], data, form="symmetric", max_drop=1.0)
    result.model.save(tmp_path / "q.onnx")
    sizes = {"x": _fixed(result)}
    engine = tmp_path / "q.engine"
    modelport.compile(result.model, engine, target="tensorrt-rtx:sm89", shapes=sizes)
    assert engine.stat().st_size > 0


def _fixed(result: modelport.Quantization) -> list[int]:
    shape = result.model.signature.inputs[0].shape or ()
    return [dim if isinstance(dim, int) else 1 for dim in shape]


def test_symmetric_form_is_what_tensorrt_asks_for() -> None:
    graph = onnx.ModelProto.FromString(_bytes(quantized(form="symmetric").model)).graph
    constants = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    quantizers = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    assert quantizers
    for node in quantizers:
        zero = constants[node.input[2]]
        assert zero.dtype == np.int8
        assert not zero.any()
    for node in graph.node:
        if node.op_type == "Conv":
            bias = constants[node.input[2]]
            assert bias.dtype == np.float32
    weights = [item for item in constants.values() if item.dtype == np.int8 and item.ndim == 4]
    assert sorted(len(item) for item in weights) == [32, 32, 32, 64]


def test_weights_have_a_scale_for_every_channel(tmp_path: Path) -> None:
    net, _ = residual()
    graph = onnx.ModelProto.FromString(_bytes(quantized().model)).graph
    constants = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    wanted = np.abs(net.second.weight.detach().numpy()).max((1, 2, 3)) / 64  # type: ignore[union-attr,operator]
    scales = [item for name, item in constants.items() if item.shape == (64,) and "scale" in name]
    assert any(np.allclose(item, wanted, rtol=1e-6) for item in scales)


def test_unsigned_form_has_everything_between_convolutions_in_8_bits(tmp_path: Path) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "fused.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(_bytes(quantized().model), options)
    operators = [node.op_type for node in onnx.load(tmp_path / "fused.onnx").graph.node]
    assert operators.count("QLinearConv") == 4
    assert operators.count("QLinearAdd") == 1
    assert "Conv" not in operators
    assert "FusedConv" not in operators


def _bytes(model: modelport.Model) -> bytes:
    import onnx_ir

    return onnx_ir.to_proto(model.ir).SerializeToString()


def test_what_was_chosen_is_in_the_file(tmp_path: Path) -> None:
    result = quantized(keep=["Gemm"])
    stored = onnx.load(result.model.save(tmp_path / "q.onnx"))
    found = {item.key: item.value for item in stored.metadata_props}
    choice = json.loads(found[QUANTIZATION_KEY])
    assert choice["precision"] == "int8"
    assert choice["cases"] == 16
    assert choice == result.model.provenance["quantization"]
    assert any("Gemm" in str(item) for item in result.model.findings)


def test_operators_that_cost_most_stay_in_float32() -> None:
    result = modelport.quantize(
        residual()[1], pictures(20), max_drop=2e-5, form="symmetric", judge_on=pictures(8, seed=7)
    )
    assert result.drop <= 2e-5
    assert 0 < len(result.kept) < result.operators
    costly = list(result.sensitivity)
    assert list(result.kept) == costly[: len(result.kept)]
    assert sorted(result.sensitivity.values(), reverse=True) == list(result.sensitivity.values())
    # It is the smallest number: one less was tried, and lost too much.
    fewer = [point for point in result.points if point.kept == len(result.kept) - 1]
    assert fewer[0].drop > 2e-5


def test_an_impossible_bound_is_reported_with_the_best(tmp_path: Path) -> None:
    with pytest.raises(ProofError, match=r"the best that was reached is .* in float32") as caught:
        quantized(max_drop=-1.0)
    assert caught.value.exit_code == 1
    assert "of 5 operators" in str(caught.value)


def test_a_users_metric_decides() -> None:
    net, _ = residual()
    seen = []

    def accuracy(run: Any) -> float:
        right = [np.argmax(run(case)["y"]) == np.argmax(eager(net, case)) for case in UNSEEN]
        seen.append(len(right))
        return float(np.mean(right))

    result = quantized(metric=accuracy, max_drop=0.5)
    assert result.score == 1.0
    assert len(seen) >= 2

    def broken(run: Any) -> float:
        raise KeyError("label")

    with pytest.raises(UsageError, match="broken failed: KeyError"):
        quantized(metric=broken)
    with pytest.raises(UsageError, match="returned nan"):
        quantized(metric=lambda run: float("nan"))


@pytest.mark.parametrize("precision", ["fp16", "bf16", "dynamic", "weights8", "weights4"])
def test_other_precisions_need_no_calibration(tmp_path: Path, precision: str) -> None:
    net, model = attentive()
    result = modelport.quantize(model, precision=precision, max_drop=0.05)
    assert result.drop <= 0.05
    case = sentences(1, seed=5)[0]
    (actual,) = run(widen(result.model).save(tmp_path / "m.onnx"), case)
    bound = {"fp16": 2e-3, "bf16": 2e-2, "dynamic": 0.2, "weights8": 2e-2, "weights4": 0.25}
    assert relative_error(actual, eager(net, case)) < bound[precision]


def test_weights_of_4_bits_are_small(tmp_path: Path) -> None:
    model = attentive()[1]
    small = modelport.quantize(model, precision="weights4", max_drop=1.0).model
    assert small.weight_bytes < model.weight_bytes / 4


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "there are no calibration data"),
        ([{"x": np.full((1, 3, 16, 16), np.nan, np.float32)}], "768 NaN or infinite values in 'x'"),
        ([np.zeros((1, 3, 15, 16), np.float32)], "do not fit the model"),
        ([np.zeros((1, 3, 16, 16), np.float64)], "do not fit the model"),
        ([{"z": np.zeros((1, 3, 16, 16), np.float32)}], "do not fit the model"),
        ([(np.zeros(3), np.zeros(3))], "has 2 arrays, the model takes 1"),
        (None, "without data to calibrate on"),
    ],
)
def test_bad_data_is_refused(data: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        modelport.quantize(residual()[1], data)


def test_a_quantized_model_is_refused() -> None:
    done = quantized().model
    with pytest.raises(UsageError, match="quantized already"):
        modelport.quantize(done, pictures(4))
    assert convert(done, "int8") is done


def test_a_table_of_another_model_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing of the model can compute in 8 bits"):
        convert(residual()[1], "int8", table=CalibrationTable({"elsewhere": (-1.0, 1.0)}))


def test_a_table_takes_the_place_of_calibration() -> None:
    first = quantized()
    wide = {name: (100 * low, 100 * high) for name, (low, high) in first.table.ranges.items()}
    again = quantized(table=first.table, max_drop=1.0)
    coarse = quantized(table=first.table.replaced(wide), max_drop=1.0)
    assert again.drop < coarse.drop / 10
