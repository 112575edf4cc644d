from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import modelport
from modelport import UsageError
from modelport.bundle import join_stages
from modelport.pipeline import Stage
from tests.support import Ran, onnx_text
from tests.tuning.recipes import recipe

RunCli = Callable[..., Ran]
SOURCE = str(Path(__file__).parent / "recipes.py")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "b.port"
    modelport.deploy(recipe(), path)
    return path


@pytest.mark.slow
def test_all_targets_are_measured_at_all_settings(tmp_path: Path) -> None:
    bundle = tmp_path / "b.port"
    modelport.deploy(recipe(), bundle, targets=["onnxruntime", "openvino"])
    found = modelport.bench([bundle], sizes={"batch": [1, 16]}, threads=[1], rounds=3)
    assert found.ok
    settings = [(row.model, row.sizes["batch"], row.threads) for row in found.rows]
    names = ["b.port onnxruntime:cpu:fp32", "b.port openvino:cpu:fp32"]
    assert settings == [(name, batch, 1) for batch in (1, 16) for name in names]
    for row in found.rows:
        assert row.timing is not None
        assert len(row.rounds) == 3
        assert len(row.calls) > len(row.rounds)
        assert 0 < row.timing.minimum <= row.timing.median
        assert row.memory > 10 << 20
    firsts = [row for row in found.rows if row.model == found.against]
    assert [row.ratio for row in firsts] == [1.0, 1.0]


def test_command_tells_all_and_writes_a_page(cli: RunCli, bundle: Path, tmp_path: Path) -> None:
    page = tmp_path / "bench.html"
    command = ("bench", bundle, "--target", "onnxruntime", "--rounds", 2)
    ran = cli(*command, "--size", "batch=1,8", "--report", page)
    assert ran.code == 0, ran.err
    assert "batch=8" in ran.out
    assert "<polyline" in page.read_text()
    found = json.loads(cli(*command, "--at-once", 2, "--json").out)
    assert found["ok"]
    assert found["at_once"] == 2
    (row,) = found["rows"]
    assert row["seconds"]["rounds"] == 2
    assert row["calls"]["count"] == 2
    assert {"p90", "p99", "low", "high", "median"} <= set(row["seconds"])


@pytest.mark.slow
def test_against_the_original(cli: RunCli, bundle: Path) -> None:
    command = ("bench", bundle, "--target", "onnxruntime", "--rounds", 2, "--against", "torch")
    found = json.loads(cli(*command, "--source", SOURCE, "--json").out)
    assert found["against"] == "torch:cpu:fp32 of perceptron"
    assert [row["model"] for row in found["rows"]] == [
        "torch:cpu:fp32 of perceptron",
        "b.port onnxruntime:cpu:fp32",
    ]
    assert found["rows"][1]["ratio"] > 0


def test_model_that_fails_is_a_row(tmp_path: Path, cli: RunCli) -> None:
    good = onnx_text(tmp_path / "good.onnx", "g (float[N] x) => (float[N] y) { y = Relu(x) }")
    wide = onnx_text(tmp_path / "wide.onnx", "g (float[N, 2] x) => (float[N, 2] y) { y = Relu(x) }")
    ran = cli("bench", good, wide, "--rounds", 2)
    assert ran.code == 1
    assert "failed: " in ran.out
    assert "rank 1 is not 2" in ran.out


@pytest.mark.slow
def test_case_is_what_is_run(tmp_path: Path) -> None:
    path = onnx_text(tmp_path / "m.onnx", "g (float[N] x) => (float[N] y) { y = Exp(x) }")
    means = []
    for size in (10, 1_000_000):
        np.savez(tmp_path / "case.npz", x=np.zeros(size, np.float32))
        (row,) = modelport.bench([path], case=tmp_path / "case.npz", rounds=3).rows
        means.append(min(row.rounds))
    assert means[1] > 2 * means[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--size", "depth=1"], "no dynamic dimension 'depth'"),
        (["--size", "batch=99"], "outside the range"),
        (["--size", "batch"], "cannot read the sizes"),
        (["--threads", "many"], "cannot read the numbers"),
        (["--threads", "-1"], "cannot run"),
        (["--rounds", "0"], "cannot be measured"),
        (["--against", "openvino"], "is not PyTorch"),
        (["--target", "torch"], "has no engine for torch"),
        (["--against", "torch"], "holds no PyTorch program"),
    ],
)
def test_wrong_use_is_told(cli: RunCli, bundle: Path, options: list[str], said: str) -> None:
    ran = cli("bench", bundle, *options)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_missing_model_is_told(cli: RunCli, tmp_path: Path) -> None:
    assert cli("bench", tmp_path / "no.onnx").code == 2
    assert cli("bench", tmp_path / "no.port").code == 2
    with pytest.raises(UsageError, match="nothing to measure"):
        modelport.bench([])


def test_foreign_code_is_measured_on_the_callers_word(
    cli: RunCli, native: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = join_stages(
        [Stage("own", str(native), {"x": "x"})], tmp_path / "whole.port", outputs={"y": "own.y"}
    )
    monkeypatch.setenv("MODELPORT_CACHE", str(tmp_path / "elsewhere"))
    command = ("bench", native, whole, "--rounds", 2)
    ran = cli(*command)
    assert ran.code == 1
    assert ran.out.count("not built by this user on this machine") == 2
    assert cli(*command, "--trust").code == 0
