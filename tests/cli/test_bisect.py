from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import Ran, onnx_text

RunCli = Callable[..., Ran]
BODY = "g (float[N, 3] x) => (float[N, 3] y) {{ a = Sin(x) b = {op}(a) y = Tanh(b) }}"


@pytest.fixture
def right(tmp_path: Path) -> Path:
    return onnx_text(tmp_path / "right.onnx", BODY.format(op="Exp"))


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    return onnx_text(tmp_path / "wrong.onnx", BODY.format(op="Neg"))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_nothing_found_exits_with_0(cli: RunCli, right: Path, tmp_path: Path) -> None:
    ran = cli("bisect", right, right, "--all-nodes")
    assert ran.code == 0
    assert ran.out.strip().endswith("no node differs")
    assert [path.name for path in tmp_path.iterdir()] == ["right.onnx"]


def test_a_culprit_exits_with_1_and_can_be_seen_again(
    cli: RunCli, right: Path, wrong: Path
) -> None:
    ran = cli("bisect", right, wrong)
    assert ran.code == 1
    assert "(Neg) -> b" in ran.out
    assert "differs in operator: Neg, the reference has Exp" in ran.out
    command = ran.out.strip().splitlines()[-1].partition("again: ")[2]
    assert cli(*shlex.split(command)[1:]).code == 1


def test_json_has_everything(cli: RunCli, right: Path, wrong: Path, tmp_path: Path) -> None:
    ran = cli("bisect", right, wrong, "--json", "--save", tmp_path / "here")
    data = json.loads(ran.out)
    assert data["culprit"]["operator"] == "Neg"
    assert data["culprit"]["expected"]["shape"] == list(data["culprit"]["actual"]["shape"])
    assert [link["tensor"] for link in data["links"]] == ["a", "b", "y"]
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == [
        "candidate.onnx",
        "case.npz",
        "reference.onnx",
    ]


def test_reduce(cli: RunCli, right: Path, wrong: Path) -> None:
    ran = cli("bisect", right, wrong, "--reduce", "--json", "--save", "small")
    assert ran.code == 1
    assert json.loads(ran.out)["before"] == 3
    ran = cli(
        "bisect", wrong, "--reduce", "--command", "grep -q Neg {model} && exit 3", "--save", "s"
    )
    assert ran.code == 1
    assert "1 of 3 nodes are left" in ran.out


@pytest.mark.parametrize(
    "options",
    [
        ["--memory", "0"],
        ["--crash"],
        ["--command", "true {model}"],
        ["--reduce", "--crash", "--command", "true {model}"],
        ["--reduce", "--command", "true"],
        ["--cases", "nowhere.npz"],
        ["other.onnx"],
    ],
)
def test_wrong_use_exits_with_2(cli: RunCli, right: Path, options: list[str]) -> None:
    ran = cli("bisect", right, *options)
    assert ran.code == 2
    assert "error" in ran.err


def test_what_does_not_fail_cannot_be_reduced(cli: RunCli, right: Path) -> None:
    ran = cli("bisect", right, right, "--reduce")
    assert ran.code == 1
    assert "nothing to shrink" in ran.err
