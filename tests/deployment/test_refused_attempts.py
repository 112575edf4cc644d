"""Attempts that are refused: nothing of one is left, and the progress does not speak of failure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._subclasses import FakeTensor

import modelport
from tests.conftest import RunCli
from tests.support import snapshot

SOURCE = """
import torch
from torch._subclasses import FakeTensor

import modelport


class Shortcut(torch.nn.Module):
    def forward(self, x):
        return x * 2 if isinstance(x, FakeTensor) else torch.relu(x)


def recipe():
    return modelport.Recipe(Shortcut(), (torch.randn(4, 3),), dynamic={"x": [0]})


def wrong():
    return recipe().with_options(capture="dynamo")
"""


class Shortcut(torch.nn.Module):
    """Takes another way for tensors without values: dynamo captures that, tracing does not."""

    def forward(self, x: torch.Tensor) -> Any:
        if isinstance(x, FakeTensor):
            return torch.ops.tinted.blend(x, x, share=0.5)
        return torch.relu(x)


@pytest.fixture
def shortcut(trial: dict[str, Any]) -> modelport.Recipe:
    assert "blend" in trial
    return modelport.Recipe(
        Shortcut(), (torch.randn(4, 3),), input_names=["x"], output_names=["y"], dynamic={"x": [0]}
    )


def test_no_graph_of_a_refused_attempt_is_published(
    shortcut: modelport.Recipe, tmp_path: Path
) -> None:
    done = modelport.deploy(shortcut, tmp_path / "a.port", targets=["openvino"])
    assert done.model.facts.strategy == "trace"
    # Dynamo's graph was rewritten for OpenVINO; tracing's is taken as it is.
    graphs = {name for name in snapshot(done.path) if name.startswith("graphs/")}
    assert graphs == {"graphs/model.onnx"}


def test_no_library_of_a_refused_attempt_is_published(
    shortcut: modelport.Recipe, tmp_path: Path
) -> None:
    done = modelport.deploy(shortcut, tmp_path / "a.port")
    assert done.model.facts.strategy == "trace"
    assert not [name for name in snapshot(done.path) if name.startswith("operators/")]


def test_no_engine_of_a_refused_attempt_is_published(
    shortcut: modelport.Recipe, tmp_path: Path
) -> None:
    pytest.importorskip("tensorrt_rtx")
    targets = ["tensorrt-rtx:sm89", "onnxruntime"]
    done = modelport.deploy(shortcut, tmp_path / "a.port", targets=targets)
    files = set(snapshot(done.path))
    manifest = json.loads((done.path / "manifest.json").read_text())
    named = {"manifest.json", "report.html", "graphs/model.onnx", *manifest["cases"]}
    for entry in manifest["targets"]:
        named |= {entry["graph"], *entry["files"]}
    assert files == named


def test_a_program_is_published_for_pytorch_alone(tmp_path: Path) -> None:
    recipe = modelport.Recipe(torch.nn.Linear(3, 2), (torch.randn(4, 3),))
    with_torch = modelport.deploy(recipe, tmp_path / "a.port", targets=["torch", "onnxruntime"])
    without = modelport.deploy(recipe, tmp_path / "b.port")
    assert "graphs/model.pt2" in snapshot(with_torch.path)
    assert "graphs/model.pt2" not in snapshot(without.path)


def test_progress_says_nothing_of_a_failure_before_another_attempt(
    run_cli: RunCli, tmp_path: Path
) -> None:
    source = tmp_path / "shortcut.py"
    source.write_text(SOURCE)
    ran = run_cli("deploy", source, "-o", tmp_path / "a.port", "--target", "openvino")
    assert ran.code == 0, ran.err
    assert ran.err.count("capture: ") == 2
    assert "failed" not in ran.err
    wrong = run_cli("deploy", f"{source}:wrong", "-o", tmp_path / "b.port")
    assert wrong.code == 1
    assert "does not compute" in wrong.err


class Heard:
    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def start(self, step: str) -> None:
        self.events.append(("start", step))

    def finish(self, step: str, seconds: float) -> None:
        self.events.append(("finish", step))

    def fail(self, step: str) -> None:
        self.events.append(("fail", step))


def test_a_step_that_ends_the_work_is_told_as_failed(tmp_path: Path) -> None:
    heard = Heard()
    path = tmp_path / "m.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(modelport.UsageError):
        modelport.deploy(path, tmp_path / "a.port", progress=heard)
    assert heard.events[-1] == ("fail", "capture")
    assert [name for kind, name in heard.events if kind == "fail"] == ["capture"]
