from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

import modelport
from modelport import Target
from modelport.bundle import Manifest
from modelport.bundle.checksums import record_files
from modelport.recipe import load_recipe


def sign(bundle: Path) -> None:
    """Gives a changed bundle checksums that fit."""
    path = bundle / "manifest.json"
    manifest = Manifest.parse(path.read_bytes(), str(bundle))
    path.unlink()
    files = record_files(bundle)
    path.write_bytes(dataclasses.replace(manifest, files=files).render())


def change_weight(bundle: Path, factor: float) -> None:
    path = bundle / "graphs" / "model.onnx"
    model = onnx.load(path)
    weight = max(model.graph.initializer, key=lambda tensor: np.prod(tensor.dims))
    array = onnx.numpy_helper.to_array(weight).copy()
    array.flat[0] *= factor
    weight.CopyFrom(onnx.numpy_helper.from_array(array, weight.name))
    onnx.save(model, path)
    sign(bundle)


@pytest.mark.parametrize("form", ["directory", "zip"])
def test_whole_bundle_agrees_with_its_own_cases(
    deployed: modelport.Deployment, zipped: Path, form: str
) -> None:
    results = modelport.verify(deployed.path if form == "directory" else zipped)
    assert list(map(str, results)) == ["onnxruntime:cpu:fp32"]
    (verification,) = results.values()
    assert verification.ok
    assert "example" in {case.case for case in verification.cases}


def test_bundle_agrees_with_its_source_on_fresh_cases(
    deployed: modelport.Deployment, recipe_file: Path
) -> None:
    (own,) = modelport.verify(deployed.path).values()
    (fresh,) = modelport.verify(deployed.path, str(recipe_file)).values()
    assert fresh.ok
    assert len(fresh.cases) >= 6
    drawn = {str(case.shapes) for case in own.cases} ^ {str(case.shapes) for case in fresh.cases}
    assert drawn


def test_recipe_may_be_given_in_place_of_a_source(
    deployed: modelport.Deployment, recipe_file: Path
) -> None:
    (fresh,) = modelport.verify(deployed.path, load_recipe(recipe_file)).values()
    assert fresh.ok


def test_another_model_differs(deployed: modelport.Deployment, recipe_file: Path) -> None:
    (result,) = modelport.verify(deployed.path, f"{recipe_file}:other").values()
    assert not result.ok


@pytest.mark.parametrize("against_source", [False, True])
def test_changed_weight_under_good_checksums_differs(
    bundle: Path, recipe_file: Path, against_source: bool
) -> None:
    change_weight(bundle, 1.5)
    against = str(recipe_file) if against_source else None
    (result,) = modelport.verify(bundle, against).values()
    assert not result.ok


def test_signing_alone_changes_nothing(bundle: Path) -> None:
    change_weight(bundle, 1.0)
    (result,) = modelport.verify(bundle).values()
    assert result.ok


def test_graph_that_does_not_load_is_an_error(bundle: Path) -> None:
    (bundle / "graphs" / "model.onnx").write_bytes(b"no graph")
    sign(bundle)
    with pytest.raises(modelport.BuildError, match="cannot load"):
        modelport.verify(bundle)


def test_missing_source_is_a_usage_error(deployed: modelport.Deployment, tmp_path: Path) -> None:
    with pytest.raises(modelport.UsageError, match="no such file"):
        modelport.verify(deployed.path, str(tmp_path / "none.py"))


def test_self_test_measures_and_sees_no_difference_here(bundle: Path) -> None:
    result = modelport.self_test(bundle)
    assert result.ok
    assert result.differences == ()
    (engine,) = result.engines
    assert engine.milliseconds is not None
    assert 0 < engine.milliseconds[1] <= engine.milliseconds[0]
    assert engine.verification is not None
    assert len(engine.verification.cases) > 3


def test_self_test_finds_a_changed_weight(bundle: Path) -> None:
    change_weight(bundle, 1.5)
    result = modelport.self_test(bundle)
    assert not result.ok
    (engine,) = result.engines
    assert engine.milliseconds is None


def test_self_test_says_what_is_other_here(bundle: Path) -> None:
    def other(manifest: Manifest) -> Manifest:
        machine = {**manifest.provenance["machine"], "processor": "a slower one"}
        versions = {**manifest.provenance["versions"], "onnxruntime": "0.1"}
        provenance = {**manifest.provenance, "machine": machine, "versions": versions}
        return dataclasses.replace(manifest, provenance=provenance)

    path = bundle / "manifest.json"
    path.write_bytes(other(Manifest.parse(path.read_bytes(), "")).render())
    processor, runtime = modelport.self_test(bundle).differences
    assert processor.startswith("processor: a slower one there, ")
    assert runtime.startswith("onnxruntime: 0.1 there, ")


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("onnxruntime:cuda", "CUDAExecutionProvider"),
        ("nobodys", "unknown backend 'nobodys'"),
    ],
)
def test_self_test_skips_what_cannot_run_here(bundle: Path, target: str, reason: str) -> None:
    path = bundle / "manifest.json"
    manifest = Manifest.parse(path.read_bytes(), "")
    artifact = next(iter(manifest.artifacts.values()))
    artifacts = {**manifest.artifacts, Target.parse(target): artifact}
    path.write_bytes(dataclasses.replace(manifest, artifacts=artifacts).render())
    result = modelport.self_test(bundle)
    assert result.ok
    assert reason in result.engines[1].skipped
    # Where nothing ran, nothing is proven.
    only = {Target.parse(target): artifact}
    path.write_bytes(dataclasses.replace(manifest, artifacts=only).render())
    assert not modelport.self_test(bundle).ok


def test_self_test_tells_an_engine_that_does_not_open(bundle: Path) -> None:
    (bundle / "graphs" / "model.onnx").write_bytes(b"no graph")
    sign(bundle)
    result = modelport.self_test(bundle)
    assert not result.ok
    assert "cannot load" in result.engines[0].failure


def test_self_test_needs_no_torch(native: Path) -> None:
    script = (
        "import sys\n"
        "for name in ('torch', 'onnx', 'onnx_ir', 'onnxscript', 'jinja2', 'cryptography'):\n"
        "    sys.modules[name] = None\n"
        "from modelport.cli import main\n"
        "sys.exit(main(['bundle', 'selftest', sys.argv[1]]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(native)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "agrees on" in done.stdout
