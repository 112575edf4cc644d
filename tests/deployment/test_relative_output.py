"""Bundles at relative places: libraries of operators are found, whatever runs the graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import modelport
from tests.conftest import RunCli

SOURCE = """
import sys

import torch

import modelport
from modelport.pipeline import steps
from modelport.ops.scaffold import load_folder

load_folder(OPERATORS)


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)

    def forward(self, x):
        y = self.conv(x)
        return torch.ops.tinted.blend(y, y, share=0.5)


def recipe():
    torch.manual_seed(0)
    return modelport.Recipe(
        Network(),
        (torch.rand(1, 3, 8, 8),),
        input_names=["x"],
        output_names=["y"],
        dynamic={"x": [0]},
        capture="trace",
    )


def pictures():
    torch.manual_seed(0)
    return modelport.Recipe(
        torch.nn.Conv2d(3, 4, 3),
        (torch.zeros(16, 20, 3, dtype=torch.uint8),),
        output_names=["y"],
        capture="trace",
        preprocess=[steps.to_float(), steps.to_chw()],
    )
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    operators = Path(__file__).parents[1] / "operators"
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    text = SOURCE.replace("OPERATORS", repr(str(operators)))
    (folder / "recipe.py").write_text(text)
    rng = np.random.default_rng(0)
    for number in range(6):
        x = rng.random((1, 3, 8, 8), dtype=np.float32)
        np.savez(folder / "data" / f"{number}.npz", x=x)
        image = rng.integers(0, 256, (16, 20, 3), dtype=np.uint8)
        (folder / "pictures").mkdir(exist_ok=True)
        np.savez(folder / "pictures" / f"{number}.npz", image=image)
    return folder


@pytest.mark.parametrize(("factory", "data"), [("recipe", "data"), ("pictures", "pictures")])
def test_what_needs_libraries_is_calibrated_at_a_relative_place(
    run_cli: RunCli, project: Path, tmp_path: Path, factory: str, data: str
) -> None:
    ran = run_cli(
        *("deploy", f"recipe.py:{factory}", "--target", "onnxruntime:int8"),
        *("--target", "onnxruntime", "--data", data, "-o", "relative.port"),
        cwd=project,
    )
    assert ran.code == 0, ran.err
    assert "wrote relative.port" in ran.out
    verified = run_cli("verify", "project/relative.port", cwd=tmp_path)
    assert verified.code == 0, verified.err


def test_a_target_is_added_at_a_relative_place(
    native: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: RunCli
) -> None:
    monkeypatch.chdir(tmp_path)
    added = cli("bundle", "add", native, "--target", "onnxruntime:fp16", "-o", "more.port")
    assert added.code == 0, added.err
    assert cli("verify", "more.port").code == 0


def test_relative_libraries_are_those_of_the_callers_folder(
    trial: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelport.ops.library_store import library_path

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> Any:
            return trial["blend"](self.layer(x), self.layer(x), share=0.5)

    model = modelport.export(Network(), (torch.rand(2, 3),), input_names=["x"], capture="trace")
    library = library_path("tinted")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / library.name).write_bytes(library.read_bytes())
    monkeypatch.chdir(tmp_path)
    cases = [{"x": np.ones((2, 3), np.float32)}]
    table = modelport.calibrate(model, cases, libraries=[Path("own") / library.name])
    assert table.ranges
