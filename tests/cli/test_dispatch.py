from __future__ import annotations

import argparse
import io
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import modelport
from modelport.cli import console
from modelport.progress import Stages
from tests.support import Ran

RunCli = Callable[..., Ran]
COMMANDS = ("deploy", "export", "check", "run", "verify", "doctor")


def test_version(cli: RunCli) -> None:
    ran = cli("--version")
    assert (ran.code, ran.out.strip()) == (0, f"modelport {modelport.__version__}")


def test_help_lists_every_command(cli: RunCli) -> None:
    ran = cli("--help")
    assert ran.code == 0
    for command in COMMANDS:
        assert command in ran.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_json(cli: RunCli, command: str) -> None:
    ran = cli(command, "--help")
    assert ran.code == 0
    assert "--json" in ran.out


@pytest.mark.parametrize("argv", [(), ("frobnicate",), ("check",), ("check", "a.onnx", "--fast")])
def test_wrong_use_exits_with_2(cli: RunCli, argv: tuple[str, ...]) -> None:
    ran = cli(*argv)
    assert ran.code == 2
    assert ran.out == ""
    assert "usage: modelport" in ran.err


def test_error_is_one_message_without_a_traceback(run_cli: RunCli, tmp_path: Path) -> None:
    ran = run_cli("check", tmp_path / "none.onnx")
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("modelport: error: no such file: ")
    assert "Traceback" not in ran.err


def test_debug_shows_the_traceback(run_cli: RunCli, tmp_path: Path) -> None:
    ran = run_cli("--debug", "check", tmp_path / "none.onnx")
    assert ran.code != 0
    assert "Traceback" in ran.err
    assert "no such file" in ran.err


def test_installed_script_is_the_same_command() -> None:
    script = Path(sys.executable).with_name("modelport")
    if not script.exists():
        pytest.skip("modelport is not installed as a script")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"modelport {modelport.__version__}"


def test_missing_package_says_which_extra_to_install(
    cli: RunCli, monkeypatch: pytest.MonkeyPatch, onnx_file: Path
) -> None:
    def missing(path: object) -> object:
        raise ModuleNotFoundError("No module named 'onnx'", name="onnx")

    monkeypatch.setattr("modelport.graph.check", missing)
    ran = cli("check", onnx_file)
    assert ran.code == 2
    assert "`modelport check` needs the package 'onnx'" in ran.err
    assert "'torch" in ran.err


def test_progress_without_a_terminal_is_one_line_a_step(
    capsys: pytest.CaptureFixture[str],
) -> None:
    progress = console.progress(argparse.Namespace(json=False))
    progress.start("capture")
    progress.finish("capture", 1.25)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["capture: 1.2 s"]


def test_failed_step_stops_the_spinner(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", terminal)
    before = threading.active_count()
    stage = Stages(console.progress(argparse.Namespace(json=False)))
    with pytest.raises(ValueError, match="broken"), stage("capture"):
        _break(turning=threading.active_count() > before)
    for thread in threading.enumerate()[before:]:
        thread.join(timeout=5)
    assert threading.active_count() == before
    assert "✗" in terminal.getvalue()


def _break(turning: bool) -> None:
    assert turning
    raise ValueError("broken")
