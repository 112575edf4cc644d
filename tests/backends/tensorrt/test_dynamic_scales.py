"""SRCNN whose scale is an input, all the way to an engine of TensorRT for RTX."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import modelport
from modelport import Target
from modelport.backends import open_engine
from modelport.backends.adapters import adapters_of, with_adapters
from modelport.backends.base import Artifact
from modelport.recipe import load_recipe

pytest.importorskip("tensorrt_rtx")
pytestmark = pytest.mark.slow

SOURCE = str(Path(__file__).parents[3] / "examples" / "srcnn" / "recipe_dynamic.py")


@pytest.fixture(scope="module", params=["fp32", "fp16"])
def deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> modelport.Deployment:
    output = tmp_path_factory.mktemp("scales") / "srcnn.port"
    return modelport.deploy(SOURCE, output, targets=[f"tensorrt-rtx:sm89:{request.param}"])


def test_the_engine_is_built_for_the_cases_that_the_recipe_gives(
    deployment: modelport.Deployment,
) -> None:
    rules = {finding.rule for finding in deployment.model.findings}
    assert "adapted-input" in rules
    assert "values-assumed" not in rules
    assert list(deployment.path.rglob("*.engine"))
    assert deployment.model.provenance["seen_values"]["scales"] == [
        [1, 1, 2, 2],
        [1, 1, 3, 3],
        [1, 1, 4, 4],
    ]


def test_the_public_input_stays_the_models(deployment: modelport.Deployment) -> None:
    manifest = json.loads((deployment.path / "manifest.json").read_text())
    scales = next(item for item in manifest["signature"]["inputs"] if item["name"] == "scales")
    assert scales["dtype"] == "float32"
    (verification,) = deployment.verifications.values()
    assert verification.ok
    assert '"fixed-point"' in json.dumps(manifest)


def test_the_engines_graph_equals_pytorch_at_any_scale(deployment: modelport.Deployment) -> None:
    (path,) = [item for item in deployment.path.rglob("*.onnx") if item.name != "model.onnx"]
    adapters = adapters_of(modelport.Model.load(path).ir)
    artifact = with_adapters(Artifact(path.name), adapters)
    engine = open_engine(path.parent, artifact, Target("onnxruntime"))
    picture = np.random.default_rng(0).uniform(0, 255, (2, 3, 20, 34)).astype(np.float32)
    model = load_recipe(SOURCE).model
    for factor in (2, 2.5, 3.75):
        scales = np.array([1, 1, factor, 2], np.float32)
        with torch.no_grad():
            expected = model(torch.from_numpy(picture), torch.from_numpy(scales)).numpy()
        actual = engine.run({"input": picture, "scales": scales})["output"]
        precise = "fp32" in str(next(iter(deployment.verifications)))
        np.testing.assert_allclose(actual, expected, atol=0.02 if precise else 2)
