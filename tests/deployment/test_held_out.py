"""Targets of less precision are judged by data that nothing was calibrated on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import modelport
from modelport import ProofError, Recipe
from modelport.precision.data import Part

RNG = np.random.default_rng(0)


class Difference(nn.Module):
    """A difference of two numbers, with a factor that float16 rounds to 1."""

    def __init__(self) -> None:
        super().__init__()
        self.factors = nn.Parameter(torch.tensor([[1.0], [-1.0004]]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :2] @ self.factors


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(8, 64), nn.Linear(64, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.first(x)))


def recipe(model: nn.Module) -> Recipe:
    x = torch.from_numpy(RNG.random((2, 8), np.float32))
    return Recipe(model, (x,), input_names=["x"], output_names=["y"])


def rows(count: int, *large: int, factor: float = 40.0) -> list[np.ndarray]:
    """Cases like the example, but for a few that are larger."""
    cases = [RNG.random((2, 8), np.float32) for _ in range(count)]
    return [case * (factor if index in large else 1) for index, case in enumerate(cases)]


def rules(result: modelport.Deployment) -> set[str]:
    return {item.rule for item in result.model.findings}


def test_half_precision_is_judged_by_data(tmp_path: Path) -> None:
    """Both numbers are equal in the data, and not in noise like the example."""
    targets = ["onnxruntime:fp16"]
    without = modelport.deploy(recipe(Difference()), tmp_path / "m.port", targets=targets)
    assert "loss-guessed" in rules(without)
    data = [np.repeat(case[:, :1], 8, 1) for case in rows(10)]
    with pytest.raises(ProofError, match="held-out-0"):
        modelport.deploy(recipe(Difference()), tmp_path / "n.port", targets=targets, data=data)
    assert not (tmp_path / "n.port").exists()


def test_float32_is_no_guess(tmp_path: Path) -> None:
    assert "loss-guessed" not in rules(modelport.deploy(recipe(Net()), tmp_path / "m.port"))


def test_int8_is_not_judged_by_what_it_was_calibrated_on(tmp_path: Path) -> None:
    targets = ["onnxruntime:int8"]
    good = modelport.deploy(
        recipe(Net()), tmp_path / "m.port", targets=targets, data=rows(20), zipped=False
    )
    (verification,) = good.verifications.values()
    names = [case.case for case in verification.cases]
    assert sum(name.startswith("held-out") for name in names) == 4
    assert "loss-guessed" not in rules(good)
    stored = {path.name for path in (tmp_path / "m.port").rglob("*.npz")}
    assert not any("held-out" in name for name in stored)
    # Every fifth is large: had the ranges been read of those, too, it would fit.
    with pytest.raises(ProofError, match="held-out"):
        modelport.deploy(
            recipe(Net()), tmp_path / "n.port", targets=targets, data=rows(20, 0, 5, 10, 15)
        )


@pytest.mark.parametrize("count", [2, 3, 5, 6, 11])
def test_data_are_split_in_two(count: int) -> None:
    whole = [{"x": np.array([index])} for index in range(count)]
    held, rest = (
        [int(case["x"][0]) for case in Part(whole, held_out=is_held)] for is_held in (True, False)
    )
    assert sorted([*held, *rest]) == list(range(count))
    assert len(held) >= (1 if count == 2 else 2)
    assert rest


def test_single_case_of_data_is_calibrated_on(tmp_path: Path) -> None:
    source = recipe(Net())
    data = [np.concatenate([source.args[0].numpy(), -source.args[0].numpy()])[:2]]
    result = modelport.deploy(
        source, tmp_path / "m.port", targets=["onnxruntime:int8"], data=data, rtol=0.5
    )
    assert "loss-guessed" in rules(result)
