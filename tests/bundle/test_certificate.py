from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import modelport
from modelport import Bundle, Recipe
from modelport.bundle import Manifest
from modelport.bundle.certificate import Certificate, certificates
from tests.support import Ran

STORED = Path(__file__).parent.parent / "data/bundles/0.1.0"


class Scaled(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x.exp().sum(-1), torch.full((1,), 3.0)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "scaled.port"
    names = {"input_names": ["x"], "output_names": ["sum", "three"]}
    recipe = Recipe(Scaled(), (torch.randn(2, 4),), dynamic={"x": {0: "rows"}}, **names)
    modelport.deploy(recipe, path)
    return path


def test_certificate_says_what_was_tried_and_what_was_allowed(bundle: Path) -> None:
    with Bundle.open(bundle) as opened:
        (found,) = certificates(opened.manifest)
    assert found.ok
    assert found.target == "onnxruntime:cpu:fp32"
    assert found.cases >= 6
    assert found.sizes["rows"][0] == 1
    assert len(found.sizes["rows"]) > 3
    total, three = found.outputs
    assert total.cases is not None
    assert 5 <= total.cases <= found.cases
    assert total.error < total.allowed == 1e-4
    assert total.element_allowed == 1e-3
    assert three.cases == -1
    assert Certificate.from_json(found.to_json()) == found


def test_information_on_a_bundle_has_it_in_words(bundle: Path, cli: Callable[..., Ran]) -> None:
    out = cli("bundle", "info", bundle).out
    assert "proven for onnxruntime:cpu:fp32: agreed with the reference on" in out
    assert "rows tried at 1, " in out
    assert "three: the same number in all cases: nothing else is proven" in out
    assert "(allowed 1.0e-04)" in out


@pytest.mark.parametrize("name", ["directory", "int8", "pipeline", "texts", "torch"])
def test_older_bundles_have_one_without_counts(name: str) -> None:
    with Bundle.open(STORED / f"{name}.port", trust=True) as opened:
        for model in opened.models:
            for found in certificates(model.manifest):
                assert found.ok
                assert all(output.cases is None for output in found.outputs)
                assert list(found.lines())


@pytest.mark.parametrize(
    "verification",
    [
        3,
        {"cases": 3},
        {"cases": [1, {"outputs": 2, "shapes": []}, {"shapes": {"x": 3}, "outputs": [{}, 4]}]},
        {"ok": "yes", "evidence": [], "refused": {}, "substituted": []},
        {"cases": [{"outputs": [{"output": ["y"], "rms_rel": "much", "max_rel": None}]}]},
    ],
)
def test_foreign_figures_are_left_out(bundle: Path, verification: Any) -> None:
    with Bundle.open(bundle) as opened:
        manifest: Manifest = opened.manifest
    target = str(next(iter(manifest.artifacts)))
    (found,) = certificates(dataclasses.replace(manifest, verification={target: verification}))
    assert not found.ok
    assert list(found.lines())
