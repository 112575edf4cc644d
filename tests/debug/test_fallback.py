"""Targets whose engines are built here and do not run here: what `deploy` does, all commands do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import modelport
from modelport.backends import get_backend
from tests.support import onnx_text

pytest.importorskip("tensorrt_rtx")

TARGET = "tensorrt-rtx"
RESIZED = """
g (float[N,3,8,8] x, float[4] s) => (float[N,3,H,W] y)
{ roi = Constant<value = float[0] {}>()
  a = Relu(x)
  b = Resize<mode = "linear">(a, roi, s)
  y = Relu(b) }
"""
"""TensorRT makes shapes of integers alone: the scales are adapted, and a run is given floats."""


@pytest.fixture
def resized(tmp_path: Path) -> Path:
    return onnx_text(tmp_path / "resized.onnx", RESIZED)


def cases() -> list[dict[str, np.ndarray]]:
    values = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)
    return [{"x": values, "s": np.array([1, 1, 2, 1.5], np.float32)}]


def test_a_graph_with_an_adapted_input_is_compared(resized: Path) -> None:
    result = modelport.compare(resized, targets=TARGET, cases=cases())
    assert result.ok
    (case,) = result.cases
    assert not case.failure
    if get_backend(TARGET).why_not_run(modelport.Target(TARGET)):
        assert "not run: " in result.candidate
        assert "ONNX Runtime" in result.candidate


def test_a_graph_with_an_adapted_input_is_bisected(resized: Path) -> None:
    result = modelport.bisect(resized, targets=TARGET, cases=cases())
    assert result.ok
    assert not result.not_run
    assert [link.own is not None and link.own.ok for link in result.links] == [True] * 3


def test_a_wrong_graph_with_an_adapted_input_is_shrunk(resized: Path, tmp_path: Path) -> None:
    given = [{**cases()[0], "x": -np.abs(cases()[0]["x"])}]
    wrong = onnx_text(tmp_path / "wrong.onnx", RESIZED.replace("a = Relu(x)", "a = Abs(x)"))
    result = modelport.shrink(
        resized, wrong, targets=TARGET, cases=given, save=tmp_path / "reduced"
    )
    assert len(result.nodes) == 1
    assert result.model.is_file()


def test_a_crash_is_looked_for_in_what_deploy_would_build(resized: Path, tmp_path: Path) -> None:
    with pytest.raises(modelport.ProofError, match="does not fail"):
        modelport.shrink(
            resized, by="crash", targets=TARGET, cases=cases(), save=tmp_path / "reduced"
        )
