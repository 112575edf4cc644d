from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import Ran

RunCli = Callable[..., Ran]

RECIPE = """
import torch
import modelport


class Rounded(torch.nn.Module):
    def forward(self, x):
        # An exporter's graph computes what a forward under export computes: a little else.
        if torch.compiler.is_compiling() or torch.jit.is_tracing():
            return x * 1.002, (x * 3).sum()
        return x * 1.0, (x * 3).sum()


def recipe():
    return modelport.Recipe(
        Rounded(), (torch.arange(1.0, 5.0),), output_names=["near", "sum"], capture="trace"
    )
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.py"
    path.write_text(RECIPE)
    return path


def test_bound_decides_and_stays_with_the_bundle(cli: RunCli, source: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "a.port"
    assert cli("deploy", source, "-o", bundle).code == 1
    assert cli("deploy", source, "-o", bundle, "--rtol", "sum=0.01").code == 1
    assert not bundle.exists()
    ran = cli("deploy", source, "-o", bundle, "--rtol", "near=0.01")
    assert ran.code == 0, ran.err
    assert json.loads((bundle / "manifest.json").read_bytes())["bounds"] == {"rtol": {"near": 0.01}}
    assert cli("verify", bundle).code == 0
    assert cli("verify", bundle, "--rtol", "1e-9").code == 1
    assert "allowed 1.0e-02" in cli("bundle", "info", bundle).out


def test_compare_takes_both_bounds(cli: RunCli, source: Path) -> None:
    command = ("compare", source, "--target", "onnxruntime", "--cases", 2)
    assert cli(*command).code == 1
    assert cli(*command, "--rtol", "near=0.01").code == 0
    assert cli(*command, "--atol", "10").code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rtol", "much"], "--rtol 'much' is not a number"),
        (["--atol", "near=x"], "--atol 'near=x' is not a number"),
        (["--rtol", "-1"], "rtol -1.0 is not a number from 0 up"),
        (["--rtol", "1e-3", "--rtol", "near=1"], "with and without the name of an output"),
        (["--rtol", "absent=1"], "'absent', which is no output"),
    ],
)
def test_bad_bound_is_wrong_use(
    cli: RunCli, source: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    ran = cli("deploy", source, "-o", tmp_path / "a.port", *words)
    assert ran.code == 2
    assert said in ran.err
    assert not (tmp_path / "a.port").exists()
