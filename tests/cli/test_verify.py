from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import modelport
from tests.bundle.test_selftest import change_weight
from tests.support import Ran

RunCli = Callable[..., Ran]


def test_whole_bundle_exits_with_0(cli: RunCli, deployed: modelport.Deployment) -> None:
    ran = cli("verify", deployed.path)
    assert (ran.code, ran.err) == (0, "")
    assert "onnxruntime:cpu:fp32: agrees on" in ran.out


def test_against_its_source_exits_with_0(
    cli: RunCli, deployed: modelport.Deployment, recipe_file: Path
) -> None:
    ran = cli("verify", deployed.path, "--against", recipe_file, "--json")
    assert ran.code == 0
    content = json.loads(ran.out)
    assert content["ok"] is True
    assert len(content["targets"]["onnxruntime:cpu:fp32"]["cases"]) >= 6


def test_another_model_exits_with_1(
    cli: RunCli, deployed: modelport.Deployment, recipe_file: Path
) -> None:
    ran = cli("verify", deployed.path, "--against", f"{recipe_file}:other")
    assert ran.code == 1
    assert "DIFFERS" in ran.out


def test_changed_weight_exits_with_1(cli: RunCli, bundle: Path) -> None:
    change_weight(bundle, 1.5)
    ran = cli("verify", bundle, "--json")
    assert ran.code == 1
    assert json.loads(ran.out)["ok"] is False


def test_altered_file_exits_with_2(cli: RunCli, bundle: Path) -> None:
    with (bundle / "graphs" / "model.onnx").open("ab") as file:
        file.write(b"\0")
    ran = cli("verify", bundle)
    assert ran.code == 2
    assert "graphs/model.onnx was altered" in ran.err


def test_missing_bundle_and_source_exit_with_2(
    cli: RunCli, deployed: modelport.Deployment, tmp_path: Path
) -> None:
    assert cli("verify", tmp_path / "none.port").code == 2
    ran = cli("verify", deployed.path, "--against", tmp_path / "none.py")
    assert ran.code == 2
    assert "no such file" in ran.err
