"""``modelport ops``, by a parser as the command line builds it."""

import argparse
import json
from pathlib import Path

import pytest

from modelport import UsageError
from modelport.cli import ops

RECIPE = """
import torch
import modelport.recipe


class Model(torch.nn.Module):
    def forward(self, x):
        _, s, _ = torch.linalg.svd(x)
        return torch.special.i0(s) + torch.relu(s)


class Fine(torch.nn.Module):
    def forward(self, x):
        return torch.asinh(x)


def recipe():
    return modelport.recipe.Recipe(Model(), (torch.ones(3, 3),), name="two")


def fine():
    return modelport.recipe.Recipe(Fine(), (torch.ones(3, 3),), opset=20, dynamic={'x': [0]})
"""


def run(*words: str) -> int:
    parser = argparse.ArgumentParser("modelport")
    ops.add(parser.add_subparsers(required=True))
    args = parser.parse_args(["ops", *words])
    code: int = args.run(args)
    return code


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    path = tmp_path / "recipe.py"
    path.write_text(RECIPE)
    return str(path)


def test_support_lists_everything_unsupported(
    recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("support", recipe) == 1
    out = capsys.readouterr().out
    assert out.startswith("two: operators at opset 18")
    assert "aten::linalg_svd (missing, first used at " in out
    assert "aten::special_i0 (missing, first used at " in out
    assert "Relu (since 1)" in out
    assert "torch/linalg/__init__.py:" in out
    assert "aten::linalg_svd(Tensor A, bool full_matrices=True" in out
    assert "3 that cannot" not in out
    assert out.rstrip().endswith("4 operators, 2 that cannot be exported")
    assert "\x1b" not in out, "no colours where there is no terminal"


def test_support_as_json(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("support", f"{recipe}:fine", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["opset"] == 20, "the recipe's, where the command gives none"
    assert data["unsupported"] == []
    assert data["operators"][0]["lowered"][0]["onnx"][0]["name"] == "Asinh"
    assert run("support", f"{recipe}:fine", "--opset", "18", "--json") == 0
    assert json.loads(capsys.readouterr().out)["opset"] == 18


def test_support_of_a_missing_file() -> None:
    with pytest.raises(UsageError, match="no such file"):
        run("support", "nowhere.py")


def test_info_of_an_onnx_operator(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", "Resize") == 0
    out = capsys.readouterr().out
    assert out.startswith("Resize: ONNX operator, since opset 10")
    assert "attribute mode adds cubic" in out
    assert "cubic_coeff_a: FLOAT = -0.75" in out
    assert run("info", "ai.onnx.ml::Scaler", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["framework"], data["domain"]) == ("onnx", "ai.onnx.ml")


@pytest.mark.parametrize("name", ["asinh", "aten::asinh", "torch.asinh"])
def test_info_of_a_pytorch_operator(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", name) == 0
    out = capsys.readouterr().out
    assert out.startswith("aten::asinh: PyTorch operator, mapped in a new export")
    assert "aten::asinh(Tensor self) -> Tensor" in out
    assert "Asinh (since 9)" in out
    assert "the torchscript exporter has no mapping: give it one with modelport.reg" in out


def test_info_of_a_python_function(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", "torch.nn.functional.interpolate", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["framework"] == "pytorch"
    assert "aten::upsample_bicubic2d" in data["calls"]


def test_info_of_nothing() -> None:
    with pytest.raises(UsageError, match="did you mean Resize"):
        run("info", "Resise")
    with pytest.raises(UsageError, match="PyTorch has no operator"):
        run("info", "resise")
    with pytest.raises(UsageError, match="empty"):
        run("info", "")


def test_find(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("find", "bicubic") == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line.split()[1:3] for line in lines[2:]}
    assert rows["Resize"] == ["ONNX", "11"]
    assert rows["GridSample"] == ["ONNX", "16"]
    assert rows["aten::upsample_bicubic2d"] == ["PyTorch", "11"]
    assert run("find", "bicubic", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert {match["framework"] for match in data} == {"onnx", "pytorch"}


def test_find_says_what_it_leaves_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("find", "bicubic", "--limit", "4") == 0
    out = capsys.readouterr().out
    assert "more: --limit" in out
    assert " ONNX " in out
    assert " PyTorch " in out
    assert len(out.splitlines()) == 7


def test_find_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("find", "nosuchthing") == 1
    assert "nothing expresses" in capsys.readouterr().out


def test_a_terminal_gets_tables(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    assert run("info", "Asinh") == 0
    assert "━" in capsys.readouterr().out
