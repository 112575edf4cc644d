"""M13: int8 by calibration on data, and models that were trained to be quantized."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from torch.ao import quantization as aware

import modelport
from modelport.numerics.metrics import cosine


class Classifier(nn.Module):
    """Tells which of four corners of a picture is bright."""

    def __init__(self):
        super().__init__()
        self.quantize, self.dequantize = aware.QuantStub(), aware.DeQuantStub()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.head = nn.Linear(32 * 16, 4)

    def forward(self, x):
        return self.dequantize(self.head(self.features(self.quantize(x)).flatten(1)))


def corners(count, seed):
    """Pictures, float32 [count, 1, 16, 16], and labels."""
    rng = np.random.default_rng(seed)
    pictures = rng.normal(0, 1, (count, 1, 16, 16)).astype(np.float32)
    labels = rng.integers(0, 4, count)
    for picture, label in zip(pictures, labels, strict=True):
        top, left = 8 * (label // 2), 8 * (label % 2)
        picture[0, top : top + 8, left : left + 8] += 0.4
    return pictures, labels


def trained(model, steps=60):
    pictures, labels = map(torch.from_numpy, corners(512, 0))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for step in range(steps):
        at = slice(64 * (step % 8), 64 * (step % 8) + 64)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(pictures[at]), labels[at]).backward()
        optimizer.step()
    return model.eval()


def accuracy(run):
    pictures, labels = corners(300, 1)
    scores = [run({"x": picture[None]})["y"] for picture in pictures]
    return float(np.mean(np.argmax(np.concatenate(scores), 1) == labels))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    torch.manual_seed(0)
    model = trained(Classifier())
    path = tmp_path_factory.mktemp("m13") / "classifier.onnx"
    exported = modelport.export(
        model, (torch.zeros(1, 1, 16, 16),), input_names=["x"], output_names=["y"],
        dynamic={"x": {0: "n"}},
    )  # fmt: skip
    return model, exported.save(path)


def test_a_trained_classifier_keeps_its_accuracy(classifier, tmp_path, run_cli):
    _, path = classifier
    data, metric = tmp_path / "data.npz", tmp_path / "metric.py"
    np.savez(data, x=corners(64, 2)[0])
    metric.write_text(
        "from tests.promises.test_int8 import accuracy as _accuracy\n\n\n"
        "def accuracy(run):\n    return _accuracy(run)\n"
    )
    output, report = tmp_path / "int8.onnx", tmp_path / "report.html"
    ran = run_cli(
        "quantize", path, "--int8", "--data", data, "--metric", f"{metric}:accuracy",
        "--max-drop", "0.02", "-o", output, "--report", report, "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    result = json.loads(ran.out)
    assert result["score"] > 0.9
    assert result["drop"] <= 0.02
    assert "Accuracy against speed" in report.read_text()
    session = onnxruntime.InferenceSession(output)
    measured = accuracy(lambda inputs: {"y": session.run(None, inputs)[0]})
    assert measured == pytest.approx(result["score"] - result["drop"])
    assert output.stat().st_size < 0.6 * path.stat().st_size


def test_super_resolution_is_near_on_unseen_pictures(tmp_path):
    from modelport.recipe import load_recipe

    model = modelport.export(load_recipe("examples/srcnn/recipe.py"))
    names = [spec.name for spec in model.signature.inputs]

    def cases(count, seed):
        rng = np.random.default_rng(seed)
        for _ in range(count):
            coarse = torch.from_numpy(rng.uniform(0, 255, (1, 3, 6, 6)).astype(np.float32))
            smooth = nn.functional.interpolate(coarse, (32, 32), mode="bicubic").clamp(0, 255)
            scale = np.array([1, 1, 3, 3], np.float32)
            yield {name: smooth.numpy() if name == "input" else scale for name in names}

    result = modelport.quantize(model, lambda: cases(12, 0), max_drop=5e-3)
    full = onnxruntime.InferenceSession(model.save(tmp_path / "full.onnx"))
    low = onnxruntime.InferenceSession(result.model.save(tmp_path / "int8.onnx"))
    for case in cases(4, 1):
        reference, actual = (
            session.run(None, case)[0].astype(np.float64) for session in (full, low)
        )
        assert cosine(reference, actual) > 0.995


@pytest.mark.parametrize("target", ["onnxruntime:int8", "openvino:int8"])
def test_deploying_calibrates(classifier, tmp_path, target):
    model, _ = classifier
    examples = corners(8, 3)[0]
    recipe = modelport.Recipe(
        model=model, args=(torch.from_numpy(examples[:1]),), input_names=["x"], output_names=["y"]
    )
    np.savez(tmp_path / "data.npz", x=corners(64, 2)[0])
    result = modelport.deploy(
        recipe, tmp_path / "c.port", targets=[target], data=tmp_path / "data.npz"
    )
    # Every fifth case of the 64 is kept back, to judge by.
    assert result.model.provenance["calibration"] == {"method": "mse", "cases": 51}
    graphs = list((tmp_path / "c.port" / "graphs").glob("*int8*.onnx"))
    assert "QuantizeLinear" in {node.op_type for node in onnx.load(graphs[0]).graph.node}
    assert all(item.ok for item in modelport.verify(tmp_path / "c.port").values())


@pytest.mark.parametrize("target", ["onnxruntime:int8", "openvino:int8"])
def test_pytorchs_default_of_training_to_be_quantized_is_deployed(tmp_path, target):
    torch.manual_seed(0)
    model = Classifier().train()
    model.qconfig = aware.get_default_qat_qconfig("x86")
    aware.prepare_qat(model, inplace=True)
    trained(model).apply(aware.disable_observer)
    recipe = modelport.Recipe(
        model, (torch.from_numpy(corners(8, 3)[0]),), input_names=["x"], dynamic={"x": {0: "n"}}
    )
    result = modelport.deploy(recipe, tmp_path / "qat.port", targets=[target])
    operators = [node.op_type for node in result.model.ir.graph]
    assert operators.count("QuantizeLinear") >= 6
    (verification,) = result.verifications.values()
    assert verification.worst.rms_rel < 0.01


def test_a_model_trained_to_be_quantized_passes(tmp_path):
    torch.manual_seed(0)
    model = Classifier().train()
    model.qconfig = aware.QConfig(
        activation=aware.FakeQuantize.with_args(
            observer=aware.MovingAverageMinMaxObserver, quant_min=-128, quant_max=127,
            dtype=torch.qint8, qscheme=torch.per_tensor_symmetric,
        ),
        weight=aware.default_per_channel_weight_fake_quant,
    )  # fmt: skip
    aware.prepare_qat(model, inplace=True)
    trained(model)
    model.apply(aware.disable_observer)
    exported = modelport.export(
        model, (torch.zeros(1, 1, 16, 16),), input_names=["x"], output_names=["y"],
        dynamic={"x": {0: "n"}},
    )  # fmt: skip
    operators = [node.op_type for node in exported.ir.graph]
    assert operators.count("QuantizeLinear") >= 6
    # Its weights have 8 bits in full: on CPUs without VNNI, integer kernels saturate with them.
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(exported.save(tmp_path / "qat.onnx"), options)
    pictures, _ = corners(50, 4)
    expected = model(torch.from_numpy(pictures)).detach().numpy()
    (actual,) = session.run(None, {"x": pictures})
    np.testing.assert_allclose(actual, expected, atol=1e-4)
