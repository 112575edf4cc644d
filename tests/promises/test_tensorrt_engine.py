"""M12: an engine of TensorRT, with a dynamic batch, and other sizes than the model was made for."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import modelport
from modelport import Dim
from tests.conftest import RunCli

pytest.importorskip("tensorrt_rtx")

TARGET = "tensorrt-rtx:sm86:sm89"
HOOK = """
def rule(name, shape):
    return [-1, 25] if shape == (-1, 9) else None
"""


class Net(torch.nn.Module):
    """Bakes the number of pixels in, as ``int()`` around a size does."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 1, 3, padding=1)
        torch.nn.init.uniform_(self.conv.weight, generator=torch.Generator().manual_seed(0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        return x.view(-1, int(x.numel() / x.size(0)))


@pytest.fixture(scope="module")
def net() -> Net:
    return Net().eval()


@pytest.fixture(scope="module")
def model(net: Net) -> modelport.Model:
    return modelport.export(
        net,
        (torch.rand(1, 1, 3, 3),),
        input_names=["input"],
        output_names=["output"],
        dynamic={"input": {0: Dim("batch", 1, 16)}},
        capture="trace",
    )


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_compile_with_a_largest_batch(
    model: modelport.Model, tmp_path: Path, precision: str
) -> None:
    built = modelport.compile(
        model, tmp_path / "m.engine", target=f"{TARGET}:{precision}", max_batch=4
    )
    (profile,) = built.record.profiles
    assert profile["input"] == ([1, 1, 3, 3], [2, 1, 3, 3], [4, 1, 3, 3])
    (output,) = built.record.signature.outputs
    assert output.shape is not None
    assert output.shape[1] == 9
    convolutions = [layer for layer in built.record.layers if layer.kind == "correlation"]
    dtype = {"fp32": "float32", "fp16": "float16"}[precision]
    assert {layer.outputs[0].dtype for layer in convolutions} <= {dtype}


def test_height_and_width_redefined_with_a_hook(
    cli: RunCli, net: Net, model: modelport.Model, tmp_path: Path
) -> None:
    path, hook = model.save(tmp_path / "model.onnx"), tmp_path / "hook.py"
    hook.write_text(HOOK)
    arguments = ("compile", path, "--target", TARGET, "-o", tmp_path / "m.engine", "--json")
    resized = (*arguments, "--shape", "input=batch,1,5,5", "--max-batch", 16)
    ran = cli(*resized, "--reshape", f"{hook}:rule")
    assert ran.code == 0, ran.err
    record = json.loads(ran.out)
    assert record["profiles"][0]["input"][2] == [16, 1, 5, 5]
    assert record["signature"]["outputs"][0]["shape"][1] == 25
    # What was built is a graph that computes the same at the new size.
    rule = modelport.recipe.load_function(f"{hook}:rule")
    built = modelport.compile(
        path,
        tmp_path / "m.engine",
        target=TARGET,
        shapes={"input": ["batch", 1, 5, 5]},
        reshape=rule,
        max_batch=16,
    )
    x = torch.rand(3, 1, 5, 5, generator=torch.Generator().manual_seed(1))
    actual = modelport.load(built.model.save(tmp_path / "resized.onnx")).run({"input": x.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(actual["output"], net(x).numpy(), atol=1e-6)


def test_without_the_hook_the_baked_size_is_an_error(
    cli: RunCli, model: modelport.Model, tmp_path: Path
) -> None:
    path = model.save(tmp_path / "model.onnx")
    arguments = ("compile", path, "--target", TARGET, "-o", tmp_path / "m.engine")
    ran = cli(*arguments, "--shape", "input=1x1x5x5")
    assert ran.code in (1, 2)
    assert "Reshape" in ran.err
    assert "--reshape" in ran.err
    assert not (tmp_path / "m.engine").exists()


def test_the_bundle_has_the_engine_and_is_verified_through_its_graph(
    net: Net, tmp_path: Path
) -> None:
    recipe = modelport.Recipe(
        net,
        args=(torch.rand(2, 1, 3, 3),),
        input_names=["input"],
        output_names=["output"],
        dynamic={"input": {0: Dim("batch", 1, 16)}},
        capture="trace",
    )
    done = modelport.deploy(recipe, tmp_path / "net.port", targets=[TARGET, "onnxruntime"])
    first, second = done.verifications.values()
    assert first.ok
    assert first.substituted
    assert not second.substituted
    assert "engine-not-run" in [finding.rule for finding in done.model.findings]
    (engine,) = (tmp_path / "net.port" / "engines").glob("*.engine")
    assert engine.stat().st_size > 1000
    again = modelport.verify(tmp_path / "net.port")
    assert all(result.ok for result in again.values())
    assert [bool(result.substituted) for result in again.values()] == [True, False]
    with pytest.raises(modelport.BuildError, match="cannot run here"):
        modelport.load(tmp_path / "net.port")
    x = np.random.default_rng(0).random((3, 1, 3, 3), np.float32)
    other = modelport.load(tmp_path / "net.port", "onnxruntime").run({"input": x})
    assert other["output"].shape == (3, 9)
