from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import modelport
from modelport import BuildError, Dim, ExportError, RunError, Target, UsageError
from modelport.backends import get_backend
from modelport.backends.base import Artifact
from modelport.backends.torch.engine import TorchEngine
from modelport.capture.programs import export_program
from modelport.signature import Signature, TensorSpec
from tests.support import Ran, onnx_text

RunCli = Callable[..., Ran]


class Scale(torch.nn.Module):
    """Several outputs, a nested input, a number, and an input that is passed on."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(3, 4)
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, pair: dict[str, torch.Tensor], factor: float) -> dict[str, Any]:
        y = self.dropout(self.linear(pair["x"])) * factor
        return {"y": y, "rest": [pair["z"], self.linear.bias]}


SIGNATURE = Signature(
    (
        TensorSpec("pair_x", "float32", ("N", 3)),
        TensorSpec("pair_z", "int64", ("N",)),
        TensorSpec("factor", "float32", ()),
    ),
    (
        TensorSpec("y", "float32", ("N", 4)),
        TensorSpec("z", "int64", ("N",)),
        TensorSpec("bias", "float32", (4,)),
    ),
    {"N": Dim("N", 1, 8)},
)


@pytest.fixture(scope="module")
def model() -> Scale:
    torch.manual_seed(0)
    return Scale()


@pytest.fixture(scope="module")
def folder(model: Scale, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program")
    recipe = modelport.Recipe(
        model,
        ({"x": torch.rand(1, 3), "z": torch.arange(1)}, 2.0),
        dynamic={"pair_x": {0: Dim("N", 1, 8)}, "pair_z": {0: Dim("N", 1, 8)}},
    )
    export_program(recipe).save(path / "model.pt2")
    return path


def load(folder: Path, text: str = "torch", **options: Any) -> TorchEngine:
    target = Target.parse(text)
    artifact = Artifact("model.onnx", options=options)
    return get_backend(target).load(folder, artifact, target, SIGNATURE)  # type: ignore[return-value]


def inputs_of(rows: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(rows)
    return {
        "pair_x": rng.standard_normal((rows, 3)).astype(np.float32),
        "pair_z": np.arange(rows),
        "factor": np.asarray(3, np.float32),
    }


def expected(model: Scale, inputs: dict[str, np.ndarray]) -> np.ndarray:
    weight, bias = (item.detach().double().numpy() for item in model.linear.parameters())
    return (inputs["pair_x"].astype(np.float64) @ weight.T + bias) * 3


@pytest.mark.parametrize("options", [{}, {"channels_last": True}, {"threads": 1}])
def test_program_runs_as_the_module_does(
    model: Scale, folder: Path, options: dict[str, Any]
) -> None:
    threads = torch.get_num_threads()
    engine = load(folder, **options)
    for rows in (1, 2, 7):
        inputs = inputs_of(rows)
        came = engine.run(inputs)
        np.testing.assert_allclose(came["y"], expected(model, inputs), rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(came["z"], inputs["pair_z"])
    torch.set_num_threads(threads)
    # The model's own mode is what it was.
    assert model.training


def test_outputs_are_fresh_and_come_as_asked(model: Scale, folder: Path) -> None:
    engine = load(folder)
    inputs = inputs_of(2)
    first = engine.run(inputs, ["bias", "z"])
    assert list(first) == ["bias", "z"]
    assert not np.shares_memory(first["z"], inputs["pair_z"])
    first["bias"][...] = 77
    np.testing.assert_allclose(engine.run(inputs)["bias"], model.linear.bias.detach().numpy())


def test_binding_reads_inputs_anew_and_overwrites_outputs(model: Scale, folder: Path) -> None:
    inputs = inputs_of(2)
    binding = load(folder).bind(inputs)
    y = binding.run()["y"]
    inputs["pair_x"][...] = 0.5
    assert binding.run()["y"] is y
    np.testing.assert_allclose(y, expected(model, inputs), rtol=1e-5)
    with pytest.raises(RunError, match="not C-contiguous"):
        load(folder).bind(inputs, {"y": np.zeros((2, 8), np.float32)[:, ::2]})
    with pytest.raises(RunError, match="does not fit"):
        load(folder).bind(inputs, {"y": np.zeros((3, 4), np.float32)}).run()


def test_range_is_held(folder: Path) -> None:
    with pytest.raises(RunError, match=r"outside the range N in 1\.\.8"):
        load(folder).run(inputs_of(9))


@pytest.mark.slow
@pytest.mark.parametrize("freezing", [False, True])
def test_compiled_program_runs_as_the_module_does(
    model: Scale, folder: Path, freezing: bool
) -> None:
    engine = load(folder, "torch:compile", freezing=freezing)
    for rows in (1, 5, 3):
        inputs = inputs_of(rows)
        came = engine.run(inputs)
        np.testing.assert_allclose(came["y"], expected(model, inputs), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_bundle_holds_the_program(cli: RunCli, recipe_file: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "b.port"
    ran = cli("deploy", recipe_file, "-o", bundle, "--target", "onnxruntime", "--target", "torch")
    assert ran.code == 0, ran.err
    assert (bundle / "graphs" / "model.pt2").is_file()
    verified = modelport.verify(bundle)
    assert {str(target) for target in verified} == {"onnxruntime:cpu:fp32", "torch:cpu:fp32"}
    assert all(item.ok for item in verified.values())
    image = np.random.default_rng(0).random((1, 3, 16, 21), np.float32)
    one, other = (
        modelport.load(bundle, target).run({"image": image})["result"]
        for target in ("torch", "onnxruntime")
    )
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_onnx_file_has_no_program(tmp_path: Path) -> None:
    path = onnx_text(tmp_path / "m.onnx", "g (float[N] x) => (float[N] y) { y = Relu(x) }")
    with pytest.raises(BuildError, match="no PyTorch program beside the graph"):
        modelport.load(path, "torch")
    with pytest.raises(ExportError, match="is no PyTorch model"):
        modelport.deploy(path, tmp_path / "b.port", targets=["torch"])
    assert not (tmp_path / "b.port").exists()


def test_file_that_is_no_program_is_a_build_error(folder: Path, tmp_path: Path) -> None:
    for damage in (b"", (folder / "model.pt2").read_bytes()[:-100]):
        (tmp_path / "model.pt2").write_bytes(damage)
        with pytest.raises(BuildError, match=r"cannot read model\.pt2"):
            load(tmp_path)


@pytest.mark.parametrize(
    ("text", "options"), [("torch:dnnl", {}), ("torch:sm89", {}), ("torch", {"level": 3})]
)
def test_what_is_not_offered_is_a_usage_error(
    folder: Path, text: str, options: dict[str, Any]
) -> None:
    with pytest.raises(UsageError) as caught:
        load(folder, text, **options)
    assert caught.value.fix


def test_what_torch_export_refuses_is_told(tmp_path: Path) -> None:
    class Branching(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(ExportError, match="cannot capture the model as a program") as caught:
        export_program(modelport.Recipe(Branching(), (torch.rand(2),)))
    assert caught.value.why
