"""M2: a scale factor chosen at run time."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import modelport
from modelport.recipe import load_recipe

SOURCE = str(Path(__file__).parents[2] / "examples" / "srcnn" / "recipe_dynamic.py")


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> modelport.Deployment:
    return modelport.deploy(SOURCE, tmp_path_factory.mktemp("m02") / "srcnn.port")


def test_scales_stay_an_input_of_resize(deployment: modelport.Deployment) -> None:
    graph = onnx.load(deployment.path / "graphs" / "model.onnx").graph
    assert [value.name for value in graph.input] == ["input", "scales"]
    (resize,) = [node for node in graph.node if node.op_type == "Resize"]
    assert resize.input[2] == "scales"
    attributes = {
        attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in resize.attribute
    }
    assert attributes["mode"] == b"cubic"
    assert attributes["cubic_coeff_a"] == -0.75
    assert attributes["coordinate_transformation_mode"] == b"pytorch_half_pixel"
    assert attributes["nearest_mode"] == b"floor"


def test_deploy_verifies_every_factor(deployment: modelport.Deployment) -> None:
    (verification,) = deployment.verifications.values()
    examples = [case for case in verification.cases if case.case.startswith("given")]
    assert len(examples) == 3
    assert verification.ok


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_run_at_any_factor_equals_pytorch(deployment: modelport.Deployment, factor: int) -> None:
    picture = np.random.default_rng(factor).uniform(0, 255, (2, 3, 21, 34)).astype(np.float32)
    scales = np.array([1, 1, factor, factor], np.float32)
    with torch.no_grad():
        expected = load_recipe(SOURCE).model(torch.from_numpy(picture), torch.from_numpy(scales))
    engine = modelport.load(deployment.path)
    actual = engine.run({"input": picture, "scales": scales})["output"]
    assert actual.shape == (2, 3, 21 * factor, 34 * factor)
    np.testing.assert_allclose(actual, expected.numpy(), atol=0.02)


class Trap(torch.nn.Module):
    """The obvious way, which bakes the factor in."""

    def forward(self, x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.interpolate(
            x, scale_factor=factor.item(), mode="bicubic", align_corners=False
        )


def trap() -> modelport.Recipe:
    return modelport.Recipe(
        Trap(),
        args=(torch.rand(1, 3, 12, 16), torch.tensor(3.0)),
        input_names=["input", "factor"],
        dynamic={"input": {2: "height", 3: "width"}},
        values={"factor": lambda rng, shape: rng.choice([2.0, 3.0, 4.0], shape)},
        capture="trace",
    )


def test_trap_is_refused_and_explained() -> None:
    with pytest.raises(modelport.ExportError) as caught:
        modelport.export(trap())
    errors = {item.rule: item for item in caught.value.findings if item.severity == "error"}
    assert errors["input-vanished"].where == "factor"
    assert "symbolic" in errors["input-vanished"].fix
    file, _, line = errors["value-baked"].where.rpartition(":")
    assert file == __file__
    assert "factor.item()" in Path(file).read_text().splitlines()[int(line) - 1]


def test_diagnose_names_the_trap() -> None:
    rules = [finding.rule for finding in modelport.diagnose(trap())]
    assert rules[:2] == ["input-vanished", "value-baked"]


def test_auto_finds_a_way_out_and_says_which() -> None:
    model = modelport.export(trap(), capture="auto")
    assert {spec.name for spec in model.signature.inputs} == {"input", "factor"}
    assert "trace gave computes something else" in model.provenance["capture"]["reason"]
