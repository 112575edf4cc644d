from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import Ran, onnx_text

RunCli = Callable[..., Ran]


@pytest.fixture
def invalid(tmp_path: Path) -> Path:
    body = "g (float[2] x) => (float[2] y) { y = Frobnicate(x) }"
    return onnx_text(tmp_path / "invalid.onnx", body)


def test_valid_model_exits_with_0(cli: RunCli, onnx_file: Path) -> None:
    ran = cli("check", onnx_file)
    assert (ran.code, ran.err) == (0, "")
    assert f"{onnx_file}: valid" in ran.out


def test_invalid_model_exits_with_1_and_says_what(cli: RunCli, invalid: Path) -> None:
    ran = cli("check", invalid)
    assert ran.code == 1
    assert "Frobnicate" in ran.out + ran.err
    assert "checker" in ran.out + ran.err


def test_json_of_a_valid_and_an_invalid_model(cli: RunCli, onnx_file: Path, invalid: Path) -> None:
    assert json.loads(cli("check", onnx_file, "--json").out) == {
        "path": str(onnx_file),
        "ok": True,
        "problems": [],
    }
    ran = cli("check", invalid, "--json")
    assert ran.code == 1
    content = json.loads(ran.out)
    assert content["ok"] is False
    assert {"source", "where", "message"} <= set(content["problems"][0])


@pytest.mark.parametrize("content", [b"", b"text", b"\xff" * 40, None])
def test_unreadable_model_exits_with_2(cli: RunCli, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "bad.onnx"
    if content is not None:
        path.write_bytes(content)
    ran = cli("check", path)
    assert ran.code == 2
    assert ran.out == ""
    assert str(path) in ran.err
