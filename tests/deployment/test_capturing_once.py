"""A model is captured once: what was captured is passed on, and the opset is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import modelport
from benchmarks.bench_travel import Work


@pytest.fixture
def work() -> Iterator[Counter[str]]:
    with Work().counted(torch.nn.Module()) as counted:
        yield counted.counts


CAPTURES = "captures (torch.onnx.export)"
PROGRAMS = "captures (torch.export)"


def perceptron() -> modelport.Recipe:
    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    return modelport.Recipe(layers, (torch.rand(2, 4),), dynamic={"input": {0: "n"}})


def test_tune_passes_on_what_it_captured(work: Counter[str], tmp_path: Path) -> None:
    recipe = perceptron()
    done = modelport.tune(recipe, tmp_path / "a.port", targets=["onnxruntime", "torch"], budget=3)
    assert done.deployment is not None
    assert work[CAPTURES] == 1
    # One in torch.onnx.export, and one program for PyTorch itself.
    assert work[PROGRAMS] <= 2


def test_targets_share_a_capture(work: Counter[str], tmp_path: Path) -> None:
    targets = ["onnxruntime", "openvino", "torch", "torch:compile"]
    modelport.deploy(perceptron(), tmp_path / "a.port", targets=targets[:3])
    assert work[CAPTURES] == 1
    assert work[PROGRAMS] <= 2


class Sampled(torch.nn.Module):
    def forward(self, x: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.grid_sample(x, grid, align_corners=False)


class Affine(torch.nn.Module):
    def forward(self, theta: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.affine_grid(theta, [2, 3, 4, 5], align_corners=False)


VOLUMES = (torch.rand(1, 2, 5, 5, 5), torch.rand(1, 4, 4, 4, 3) * 2 - 1)


@pytest.mark.parametrize(
    ("model", "args"),
    [(Sampled(), VOLUMES), (Affine(), (torch.rand(2, 2, 3),))],
    ids=["another symbolic function", "the only one"],
)
def test_torchs_tables_say_which_opset_is_next(
    work: Counter[str], model: torch.nn.Module, args: Any
) -> None:
    exported = modelport.export(model, args, capture="trace")
    assert exported.opset == exported.facts.opset == 20
    assert work[CAPTURES] == 2


class Normed(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.rms_norm(x, (8,))


def test_what_no_opset_has_is_captured_once(work: Counter[str]) -> None:
    with pytest.raises(modelport.ExportError, match="rms_norm"):
        modelport.export(Normed(), (torch.rand(2, 8),), capture="trace")
    assert work[CAPTURES] == 1


def test_an_opset_that_is_too_low_is_told_with_the_next(work: Counter[str]) -> None:
    with pytest.raises(modelport.ExportError, match="opset 20"):
        modelport.export(Affine(), (torch.rand(2, 2, 3),), capture="trace", opset=18)
    assert work[CAPTURES] == 1
