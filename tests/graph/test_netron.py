"""`graph view`: Netron's server, kept from reporting home."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelport import UsageError
from modelport.graph import view
from tests.conftest import RunCli
from tests.support import onnx_text

netron = pytest.importorskip("netron")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    body = "g (float[2] x) => (float[2] y) { y = Relu(x) }"
    return onnx_text(tmp_path / "shown.onnx", body)


@pytest.fixture
def address(path: Path) -> Iterator[str]:
    yield view(path, browse=False)
    netron.stop()


def test_the_page_is_served_on_loopback_and_may_talk_to_nobody_else(address: str) -> None:
    assert address.startswith(("http://localhost:", "http://127.0.0.1:"))
    with urllib.request.urlopen(address) as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert b"<html" in answer.read().lower()
    assert policy.startswith("default-src 'self'")
    assert "http" not in policy


def test_the_model_itself_is_served(address: str, path: Path) -> None:
    with urllib.request.urlopen(f"{address}/data/{path.name}") as answer:
        assert answer.read() == path.read_bytes()


def test_the_command_serves_until_it_is_interrupted(path: Path) -> None:
    command = [sys.executable, "-m", "modelport", "graph", "view", str(path), "--json"]
    # Python opens no other browser where this names one.
    quiet = {**os.environ, "BROWSER": "true"}
    # Where the tests run in the background, their shell has interrupts ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=quiet) as process:
        signal.signal(signal.SIGINT, before)
        assert process.stdout is not None
        try:
            printed = ""
            while not printed.rstrip().endswith("}"):
                line = process.stdout.readline()
                assert line, "the command ended"
                printed += line
            with urllib.request.urlopen(json.loads(printed[printed.index("{") :])["address"]):
                pass
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0


def test_a_missing_file_is_a_usage_error(tmp_path: Path, cli: RunCli) -> None:
    with pytest.raises(UsageError, match="no such file"):
        view(tmp_path / "none.onnx")
    assert cli("graph", "view", tmp_path / "none.onnx").code == 2
