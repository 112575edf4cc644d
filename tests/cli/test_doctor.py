from __future__ import annotations

import json
from collections.abc import Callable

import onnxruntime
import pytest

from modelport import backends
from tests.support import Ran

RunCli = Callable[..., Ran]


def test_what_works_is_listed(cli: RunCli) -> None:
    ran = cli("doctor")
    assert (ran.code, ran.err) == (0, "")
    assert f"ok onnxruntime {onnxruntime.__version__}" in ran.out
    assert "torch" in ran.out


def test_what_backends_take_is_a_table(cli: RunCli) -> None:
    lines = cli("doctor").out.splitlines()
    table = lines[lines.index("what backends take:") + 1 :]
    assert [line.split()[0] for line in table] == ["backend", *backends.BACKENDS]
    found = json.loads(cli("doctor", "--json").out)["capabilities"]
    assert found["openvino"]["precisions"]["bf16"] == "runtime"


def test_json_has_every_probe(cli: RunCli) -> None:
    content = json.loads(cli("doctor", "--json").out)
    assert content["backends"][0]["name"] == "onnxruntime"
    assert content["backends"][0]["works"] is True


def test_remedy_is_shown(cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = backends.Probe("onnxruntime", False, "", "No module", "pip install onnxruntime")
    found = backends.Diagnosis("3.11", "Linux", (broken,), (), (), {})
    monkeypatch.setattr("modelport.backends.doctor", lambda: found)
    ran = cli("doctor")
    assert ran.code == 0
    assert "-- onnxruntime" in ran.out
    assert "pip install onnxruntime" in ran.out
