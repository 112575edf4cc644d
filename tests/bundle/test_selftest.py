from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest

import modelport
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
