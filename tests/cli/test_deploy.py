from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import modelport
from tests.support import RECIPE_SOURCE, Ran, snapshot

RunCli = Callable[..., Ran]

BAKED = """
import torch
import modelport

class Baked(torch.nn.Module):
    def forward(self, x):
        return x * float(x.sum())

def recipe():
    return modelport.Recipe(Baked(), (torch.rand(3, 4),), capture="trace")
"""


def test_bundle_is_written_with_progress_on_stderr(
    run_cli: RunCli, recipe_file: Path, tmp_path: Path
) -> None:
    ran = run_cli("deploy", recipe_file, "-o", tmp_path / "a.port")
    assert ran.code == 0, ran.err
    assert "captured by trace (asked for)" in ran.out
    assert "onnxruntime:cpu:fp32: agrees with the reference on" in ran.out
    assert f"wrote {tmp_path / 'a.port'}" in ran.out
    steps = [line.split(":")[0] for line in ran.err.splitlines()]
    for step in ("capture", "check", "compile", "verify", "write the bundle"):
        assert step in steps
    assert modelport.load(tmp_path / "a.port")


def test_json_is_all_that_is_printed(cli: RunCli, recipe_file: Path, tmp_path: Path) -> None:
    ran = cli("deploy", recipe_file, "-o", tmp_path / "a.port", "--zip", "--json")
    assert ran.code == 0
    content = json.loads(ran.out)
    assert content["bundle"] == str(tmp_path / "a.port")
    assert content["targets"] == ["onnxruntime:cpu:fp32"]
    assert len(content["verification"]["onnxruntime:cpu:fp32"]["cases"]) >= 6
    assert (tmp_path / "a.port").is_file()


def test_options_of_capture_and_seed_are_heeded(
    cli: RunCli, recipe_file: Path, tmp_path: Path
) -> None:
    def origins(seed: int) -> list[str]:
        options = ("--capture", "script", "--opset", 20, "--seed", seed, "--json")
        ran = cli("deploy", recipe_file, "-o", tmp_path / "a.port", *options)
        content = json.loads(ran.out)
        assert content["provenance"]["capture"]["strategy"] == "script"
        assert content["provenance"]["opset"] == 20
        cases = content["verification"]["onnxruntime:cpu:fp32"]["cases"]
        return [case["origin"] for case in cases]

    assert any("seed 7" in origin for origin in origins(7))


def test_mismatch_exits_with_1_names_it_and_writes_nothing(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "baked.py").write_text(BAKED)
    before = snapshot(tmp_path)
    ran = cli("deploy", tmp_path / "baked.py", "-o", tmp_path / "a.port")
    assert ran.code == 1
    assert "does not compute what the original model computes" in ran.err
    assert "worst at" in ran.err
    assert "drawn-0" in ran.err
    assert not (tmp_path / "a.port").exists()
    assert {name for name in snapshot(tmp_path) if "__pycache__" not in name} == set(before)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--target", "nothing"), "unknown backend 'nothing'"),
        (("--target", "onnxruntime:fp99"), "unknown token 'fp99'"),
        (("--target", "onnxruntime:dnnl"), "does not offer"),
        (("--capture", "guess"), "guess"),
        (("--opset", "many"), "many"),
    ],
)
def test_wrong_options_exit_with_2_and_write_nothing(
    cli: RunCli, recipe_file: Path, tmp_path: Path, options: tuple[str, str], said: str
) -> None:
    ran = cli("deploy", recipe_file, "-o", tmp_path / "a.port", *options)
    assert ran.code == 2
    assert said in ran.err
    assert list(tmp_path.iterdir()) == []


def test_existing_folder_that_is_no_bundle_is_untouched(
    cli: RunCli, recipe_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    ran = cli("deploy", recipe_file, "-o", tmp_path / "mine")
    assert ran.code == 2
    assert "exists and is not a bundle" in ran.err
    assert snapshot(tmp_path) == {"mine/thesis.tex": b"years of work"}


def test_missing_source_and_factory_exit_with_2(cli: RunCli, tmp_path: Path) -> None:
    assert cli("deploy", tmp_path / "none.py", "-o", tmp_path / "a.port").code == 2
    (tmp_path / "r.py").write_text(RECIPE_SOURCE)
    ran = cli("deploy", f"{tmp_path / 'r.py'}:third", "-o", tmp_path / "a.port")
    assert ran.code == 2
    assert "has no function third()" in ran.err


def test_output_is_required(cli: RunCli, recipe_file: Path) -> None:
    assert cli("deploy", recipe_file).code == 2


def test_onnx_file_deploys(cli: RunCli, onnx_file: Path, tmp_path: Path) -> None:
    ran = cli("deploy", onnx_file, "-o", tmp_path / "a.port")
    assert ran.code == 0, ran.err
    assert modelport.load(tmp_path / "a.port").signature.dims["height"].max == 64


def test_truncated_onnx_file_exits_with_2(cli: RunCli, onnx_file: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.onnx").write_bytes(onnx_file.read_bytes()[:-30])
    ran = cli("deploy", tmp_path / "cut.onnx", "-o", tmp_path / "a.port")
    assert ran.code == 2
    assert "not a readable ONNX model" in ran.err
    assert not (tmp_path / "a.port").exists()
