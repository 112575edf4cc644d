from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import snapshot


def test_ls_shows_every_file(cli: Any, bundle: Path) -> None:
    ran = cli("bundle", "ls", bundle, "--json")
    assert ran.code == 0
    listed = json.loads(ran.out)
    files = {name: data for name, data in snapshot(bundle).items() if name != "manifest.json"}
    assert {entry["path"]: entry["size"] for entry in listed["files"]} == {
        name: len(data) for name, data in files.items()
    }
    assert listed["bytes"] == sum(map(len, files.values()))
    roles = {entry["path"]: entry["role"] for entry in listed["files"]}
    assert roles["graphs/model.onnx"] == "graph"
    assert roles["cases/example.npz"] == "case"
    assert roles["report.html"] == "page"
    plain = cli("bundle", "ls", bundle).out
    assert all(name in plain for name in files)


def test_ls_knows_code(cli: Any, native: Path) -> None:
    listed = json.loads(cli("bundle", "ls", native, "--json").out)["files"]
    (library,) = [entry for entry in listed if entry["role"] == "library"]
    assert library["targets"] == ["onnxruntime:cpu:fp32"]
    assert sum(entry["role"] == "source" for entry in listed) > 10


def test_info_says_what_it_is(cli: Any, native: Path) -> None:
    ran = cli("bundle", "info", native, "--json")
    assert ran.code == 0
    told = json.loads(ran.out)
    assert told["name"] == "native"
    assert told["signed"] == "not signed"
    assert told["platforms"] == [f"linux-{os.uname().machine}"]
    (target,) = told["targets"]
    assert target["verified"]
    assert target["code"] == "is known here"
    assert len(target["key"]) == 64
    plain = cli("bundle", "info", native).out
    for word in (
        "native",
        "input x: float32",
        "not signed",
        "agreed with the reference",
        "built on",
    ):
        assert word in plain


def test_info_says_that_code_is_foreign(
    cli: Any,
    native: Path,
    elsewhere: Path,
) -> None:
    assert "not known here" in cli("bundle", "info", native).out


def test_verify_is_about_bytes(cli: Any, bundle: Path) -> None:
    assert cli("bundle", "verify", bundle).code == 0
    (bundle / "report.html").write_text("other")
    ran = cli("bundle", "verify", bundle)
    assert ran.code == 2
    assert "report.html was altered" in ran.err


def test_selftest_and_its_exit_codes(cli: Any, bundle: Path) -> None:
    ran = cli("bundle", "selftest", bundle, "--json")
    assert ran.code == 0
    told = json.loads(ran.out)
    assert told["ok"]
    assert told["engines"][0]["milliseconds"]["median"] > 0
    assert "agrees on" in cli("bundle", "selftest", bundle).out
    assert cli("bundle", "strip", bundle, "--cases").code == 0
    assert cli("bundle", "selftest", bundle).code == 2


def test_foreign_code_needs_the_callers_word(
    cli: Any,
    code: Path,
    elsewhere: Path,
) -> None:
    np.save(elsewhere / "x.npy", np.ones((2, 5), np.float32))
    more = {"run": ["--input", f"x=@{elsewhere / 'x.npy'}"]}
    for command in (("bundle", "selftest"), ("verify",), ("compare",), ("run",)):
        words = [*command, code, *more.get(command[0], [])]
        ran = cli(*words)
        assert ran.code == 2
        assert "--trust" in ran.err
        assert cli(*words, "--trust").code == 0
    ran = cli("bundle", "trust", code, "--json")
    assert ran.code == 0
    assert any(name.endswith("tinted.so") for name in json.loads(ran.out)["trusted"])
    assert cli("bundle", "selftest", code).code == 0


def test_add_strip_and_their_misuse(cli: Any, bundle: Path, tmp_path: Path) -> None:
    assert cli("bundle", "add", bundle).code == 2
    assert cli("bundle", "strip", bundle).code == 2
    ran = cli("bundle", "add", bundle, "--target", "openvino", "-o", tmp_path / "b.port", "--json")
    assert ran.code == 0
    assert json.loads(ran.out)["targets"] == {"openvino:cpu:fp32": "built"}
    ran = cli("bundle", "strip", tmp_path / "b.port", "--target", "openvino", "--report", "--json")
    assert json.loads(ran.out) == {"removed": ["report.html"]}
    assert cli("bundle", "add", bundle, "--operators").code == 2
    assert cli("bundle", "add", bundle, "--target", "nobodys").code == 2


def test_signing(cli: Any, bundle: Path, tmp_path: Path) -> None:
    pytest.importorskip("cryptography", reason="the extra `sign` is not installed")
    assert cli("bundle", "keygen", tmp_path / "k.pem").code == 0
    assert cli("bundle", "keygen", tmp_path / "k.pem").code == 2
    assert cli("bundle", "verify", bundle, "--key", tmp_path / "k.pub.pem").code == 2
    assert cli("bundle", "sign", bundle, "--key", tmp_path / "k.pem").code == 0
    ran = cli("bundle", "verify", bundle, "--key", tmp_path / "k.pub.pem", "--json")
    assert ran.code == 0
    assert json.loads(ran.out)["signed"] == f"signed by {tmp_path / 'k.pub.pem'}"
    assert cli("bundle", "selftest", bundle, "--key", tmp_path / "k.pub.pem").code == 0
    assert cli("bundle", "sign", bundle, "--key", tmp_path / "none.pem").code == 2


def test_signing_without_the_package_says_what_to_install(
    cli: Any, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cryptography", None)
    ran = cli("bundle", "keygen", tmp_path / "k.pem")
    assert ran.code == 2
    assert "pip install 'cryptography" in ran.err
    assert not (tmp_path / "k.pem").exists()


def test_dockerfile(cli: Any, bundle: Path, tmp_path: Path) -> None:
    ran = cli("bundle", "dockerfile", bundle, "-o", tmp_path / "image")
    assert ran.code == 0
    assert (tmp_path / "image" / "Dockerfile").is_file()
    assert cli("bundle", "dockerfile", bundle, "-o", tmp_path / "image").code == 2


@pytest.mark.parametrize("command", ["ls", "info", "verify", "selftest"])
def test_what_is_no_bundle_is_wrong_use(cli: Any, tmp_path: Path, command: str) -> None:
    assert cli("bundle", command, tmp_path / "none.port").code == 2
    assert cli("bundle", command, tmp_path).code == 2
