from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import modelport
from modelport import BundleError, ModelportError, ProofError, Target, UsageError
from modelport.ops.elf_check import platform_name
from tests.support import Block, block_recipe, onnx_text, snapshot


class Heard:
    def __init__(self) -> None:
        self.steps: list[str] = []

    def start(self, step: str) -> None:
        pass

    def finish(self, step: str, seconds: float) -> None:
        self.steps.append(step)

    def fail(self, step: str) -> None:
        self.steps.append(f"{step} failed")


def test_bundle_has_every_promised_file(deployed: modelport.Deployment) -> None:
    files = set(snapshot(deployed.path))
    assert {"manifest.json", "graphs/model.onnx", "report.html", "cases/example.npz"} <= files
    manifest = json.loads((deployed.path / "manifest.json").read_text())
    assert set(manifest["files"]) == files - {"manifest.json"}
    assert {"torch", "onnx", "modelport", "onnxruntime"} <= set(manifest["provenance"]["versions"])
    assert manifest["verification"]["onnxruntime:cpu:fp32"]["cases"]


def test_at_least_five_cases_of_other_shapes_are_compared(deployed: modelport.Deployment) -> None:
    (verification,) = deployed.verifications.values()
    assert verification.ok
    shapes = [case.shapes["image"] for case in verification.cases if case.case != "example"]
    assert len(shapes) >= 5
    assert sum(shape != (1, 3, 18, 20) for shape in shapes) >= 5
    assert all(16 <= shape[2] <= 64 for shape in shapes)
    for case in verification.cases:
        for output in case.outputs:
            assert output.max_abs >= 0
            assert 0.999 < output.cosine <= 1.0


def test_stages_are_timed_and_told(tmp_path: Path) -> None:
    heard = Heard()
    result = modelport.deploy(block_recipe(), tmp_path / "a.port", progress=heard)
    for step in ("read the source", "capture", "check", "compile", "verify", "write the bundle"):
        assert step in heard.steps
        assert result.seconds[step] >= 0


def test_deployed_model_computes_the_original(tmp_path: Path) -> None:
    result = modelport.deploy(block_recipe(), tmp_path / "a.port")
    x = np.random.default_rng(5).standard_normal((2, 3, 33, 7)).astype(np.float32)
    with torch.no_grad():
        wanted = Block()(torch.from_numpy(x)).numpy()
    came = modelport.load(result.path).run({"x": x})["y"]
    np.testing.assert_allclose(came, wanted, rtol=1e-4, atol=1e-5)


def test_result_as_json(deployed: modelport.Deployment) -> None:
    content = json.loads(json.dumps(deployed.to_json(), default=str))
    assert content["bundle"] == str(deployed.path)
    assert content["targets"] == ["onnxruntime:cpu:fp32"]
    assert content["signature"]["inputs"][0]["name"] == "image"


def test_cases_of_the_recipe_are_compared_and_kept(tmp_path: Path) -> None:
    mine = torch.full((1, 3, 5, 6), 2.0)
    result = modelport.deploy(block_recipe(cases=[(mine,)]), tmp_path / "a.port")
    (verification,) = result.verifications.values()
    assert (1, 3, 5, 6) in [case.shapes["x"] for case in verification.cases]
    with modelport.Bundle.open(result.path) as bundle:
        given = [item for item in bundle.reference_cases() if item.case.name == "given-0"]
    np.testing.assert_array_equal(given[0].case.inputs["x"], mine.numpy())


def test_rules_for_values_are_heeded(tmp_path: Path) -> None:
    class Root(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.sqrt()

    recipe = modelport.Recipe(
        Root(), (torch.rand(2, 8),), dynamic={"x": [0]}, values={"x": (4.0, 9.0)}, capture="trace"
    )
    result = modelport.deploy(recipe, tmp_path / "a.port")
    with modelport.Bundle.open(result.path) as bundle:
        drawn = [item for item in bundle.reference_cases() if item.case.name.startswith("drawn")]
    assert drawn
    for item in drawn:
        assert (item.outputs[next(iter(item.outputs))] >= 2.0).all()


def test_rule_for_an_unknown_input_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'z'"):
        modelport.deploy(block_recipe(values={"z": (0, 1)}), tmp_path / "a.port")


class Narrow(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x.float() * 3 + 1).to(torch.bfloat16)


def test_bfloat16_is_deployed_and_kept_in_the_bundle(tmp_path: Path) -> None:
    x = torch.randn(4, 3).to(torch.bfloat16)
    recipe = modelport.Recipe(Narrow(), (x,), dynamic={"x": {0: "n"}}, output_names=["y"])
    modelport.deploy(recipe, tmp_path / "narrow.port")
    for against in (None, recipe):
        for verification in modelport.verify(tmp_path / "narrow.port", against).values():
            assert verification.ok
            assert len(verification.cases) > 5
    ones = np.ones((2, 3), "bfloat16")
    came = modelport.load(tmp_path / "narrow.port").run({"x": ones})["y"]
    np.testing.assert_array_equal(came, np.full((2, 3), 4, "bfloat16"))


def test_two_names_of_a_target_are_one(tmp_path: Path) -> None:
    result = modelport.deploy(
        block_recipe(), tmp_path / "a.port", targets=["onnxruntime", "onnxruntime:cpu:fp32"]
    )
    assert list(result.verifications) == [Target("onnxruntime")]


class Sized(torch.nn.Module):
    """Computes with a size in Python: tracing bakes it in."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / float(int(x.shape[0]) ** 2)


def test_model_with_a_baked_size_is_not_deployed(tmp_path: Path) -> None:
    recipe = modelport.Recipe(
        Sized(), (torch.rand(4, 3),), dynamic={"x": {0: "n"}}, capture="trace"
    )
    with pytest.raises(ModelportError) as caught:
        modelport.deploy(recipe, tmp_path / "a.port")
    assert caught.value.exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_planted_fault_in_the_graph_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = modelport.Model.save

    def save_with_another_weight(model: modelport.Model, path: Any) -> Path:
        import onnx_ir

        weights = [value for value in model.ir.graph.initializers.values() if value.const_value]
        weight = max(weights, key=lambda value: value.const_value.size)
        array = weight.const_value.numpy().copy()
        array.flat[0] += 0.05
        weight.const_value = onnx_ir.tensor(array, name=weight.name)
        return save(model, path)

    monkeypatch.setattr(modelport.Model, "save", save_with_another_weight)
    with pytest.raises(ProofError, match="does not compute") as caught:
        modelport.deploy(block_recipe(), tmp_path / "a.port")
    assert "output 'y'" in str(caught.value)
    assert "worst at" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


class Dealt(torch.nn.Module):
    """Decides by a size in what no exporter follows."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = 2.0 if x.shape[0] % 2 else 3.0
        return x * scale * float(np.float32(scale))


def test_error_says_how_every_strategy_ended(tmp_path: Path) -> None:
    recipe = modelport.Recipe(Dealt(), (torch.rand(4, 3),), dynamic={"x": {0: "n"}})
    with pytest.raises(ProofError, match="does not compute") as caught:
        modelport.deploy(recipe, tmp_path / "a.port")
    assert "captured by trace: the engine" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_onnx_file_is_deployed_against_itself(tmp_path: Path) -> None:
    path = onnx_text(tmp_path / "m.onnx", "g (float[N, 3] x) => (float[N, 3] y) { y = Relu(x) }")
    result = modelport.deploy(path, tmp_path / "a.port")
    x = np.array([[-1.0, 0.0, 2.0]], np.float32)
    assert modelport.load(result.path).run({"x": x})["y"].tolist() == [[0.0, 0.0, 2.0]]
    assert "m" in (result.path / "report.html").read_text()


def test_invalid_onnx_file_is_not_deployed(tmp_path: Path) -> None:
    path = onnx_text(tmp_path / "m.onnx", "g (float[2] x) => (float[2] y) { y = Nothing(x) }")
    with pytest.raises(ModelportError) as caught:
        modelport.deploy(path, tmp_path / "a.port")
    assert caught.value.exit_code == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.onnx"]


def test_bundle_is_the_same_model_when_deployed_again(tmp_path: Path) -> None:
    path = tmp_path / "a.port"
    modelport.deploy(block_recipe(), path)
    first = modelport.load(path).signature
    modelport.deploy(block_recipe(), path)
    assert modelport.load(path).signature == first
    with (path / "report.html").open("a") as file:
        file.write("x")
    with pytest.raises(BundleError):
        modelport.load(path)
    # An altered bundle is a bundle still, and may be replaced.
    modelport.deploy(block_recipe(), path)
    assert modelport.load(path).signature == first


def test_bundle_carries_the_libraries_of_its_operators(
    trial: dict[str, Any], tmp_path: Path, cli: Any
) -> None:
    class Network(torch.nn.Module):
        def forward(self, a: torch.Tensor) -> torch.Tensor:
            return trial["joined"](trial["blend"](a, a, share=0.25), [a])

    recipe = modelport.Recipe(
        Network(), args=(torch.randn(4),), input_names=["a"], output_names=["y"], dynamic={"a": [0]}
    )
    result = modelport.deploy(recipe, tmp_path / "a.port")
    own = f"operators/{platform_name()}"
    assert {f"{own}/tinted.so", f"{own}/trial.so"} <= set(snapshot(result.path))
    assert "build operators" in result.seconds
    x = np.linspace(-1, 1, 6, dtype=np.float32)
    wanted = np.concatenate([x * x * np.float32(0.25) + x, x])
    # Elsewhere: no cache, no compiler, no declaration, and no torch.
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np, modelport\n"
        "x = np.linspace(-1, 1, 6, dtype=np.float32)\n"
        "try:\n"
        "    modelport.load(sys.argv[1])\n"
        "except modelport.BundleError as error:\n"
        "    assert 'not known here' in str(error)\n"
        "print(modelport.load(sys.argv[1], trust=True).run({'a': x})['y'].tolist())\n"
    )
    environment = {**os.environ, "PATH": "", "MODELPORT_CACHE": str(tmp_path / "absent")}
    done = subprocess.run(
        [sys.executable, "-c", script, str(result.path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(json.loads(done.stdout), wanted, rtol=1e-6)
    assert not (tmp_path / "absent").exists()
    assert cli("verify", result.path).code == 0
    # A library that was changed is not loaded.
    library = result.path / own / "trial.so"
    library.write_bytes(library.read_bytes()[:-100])
    with pytest.raises(BundleError):
        modelport.load(result.path)


class Windows(torch.nn.Module):
    """Counts images from the number of windows, by a float: the batch is baked in (Swin's code)."""

    def forward(self, x):
        batch, height, width, channels = x.shape
        windows = x.view(batch, height // 4, 4, width // 4, 4, channels).transpose(2, 3)
        windows = windows.reshape(-1, 4, 4, channels)
        images = int(windows.shape[0] / (height * width / 4 / 4))
        windows = windows.view(images, height // 4, width // 4, 4, 4, -1)
        return windows.transpose(2, 3).reshape(images, height, width, -1) + x


def test_an_assumption_without_a_value_at_small_sizes_is_no_failure(tmp_path):
    recipe = modelport.Recipe(Windows().eval(), torch.rand(2, 8, 12, 3), dynamic={"x": [0, 1, 2]})
    done = modelport.deploy(recipe, tmp_path / "windows.port")
    sizes = {
        case.shapes["x"][0] for (item,) in [done.verifications.values()] for case in item.cases
    }
    assert len(sizes) > 1


class Lengths(torch.nn.Module):
    """Takes rows whose longest is as long as the batch: drawing does not find such lengths."""

    def forward(self, rows, lengths):
        if not torch.compiler.is_compiling():
            assert int(lengths.max()) == rows.shape[1]
        seen = torch.arange(rows.shape[1])[None] < lengths[:, None]
        return (rows * seen[..., None]).sum(1)


def test_cases_of_the_recipe_count_where_drawing_finds_none(tmp_path):
    def given(batch, length):
        return torch.rand(batch, length, 3), torch.full((batch,), length)

    dynamic = {"rows": {0: "batch", 1: modelport.Dim("length", 20, 90)}, "lengths": {0: "batch"}}
    recipe = modelport.Recipe(
        Lengths().eval(),
        given(2, 30),
        dynamic=dynamic,
        values={"lengths": lambda rng, shape: np.full(shape, 19)},
        cases=[given(batch, 20 + 7 * batch) for batch in (1, 2, 3, 4, 5)],
    )
    done = modelport.deploy(recipe, tmp_path / "lengths.port")
    (verification,) = done.verifications.values()
    assert sum(case.case.startswith("given") for case in verification.cases) == 5
    with pytest.raises(modelport.ProofError, match=r"Recipe\(cases"):
        modelport.deploy(recipe.with_options(cases=recipe.cases[:2]), tmp_path / "few.port")
