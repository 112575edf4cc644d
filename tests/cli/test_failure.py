"""Failures of commands: a message, JSON for programs, an exit code, and never a traceback."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import modelport.errors
from modelport.cli import dispatch
from tests.support import Ran

RunCli = Callable[..., Ran]
DOCS = Path(__file__).parents[2] / "docs"
KINDS = [
    item
    for item in vars(modelport.errors).values()
    if isinstance(item, type) and issubclass(item, modelport.errors.ModelportError)
]
SLOW_RECIPE = """
import sys, time, torch, modelport

class Slow(torch.nn.Module):
    def forward(self, x):
        print("running", flush=True)
        sys.stdout.flush()
        time.sleep(60)
        return x + 1

def recipe():
    return modelport.Recipe(Slow(), args=(torch.ones(1, 2),))
"""


def start(*argv: object, **options: object) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "modelport", *map(str, argv)]
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (("check", "none.onnx", "--json"), "usage"),
        (("deploy", "none.py", "-o", "x.port", "--json"), "usage"),
        (("deploy", "none.py", "-o", "x.port", "--target", "nothing", "--json"), "usage"),
    ],
    ids=" ".join,
)
def test_json_has_the_error(cli: RunCli, argv: tuple[str, ...], code: str) -> None:
    ran = cli(*argv)
    assert ran.code == 2
    error = json.loads(ran.out)["error"]
    assert set(error) == {"code", "what", "where", "why", "fix"}
    assert error["code"] == code
    assert ran.err.startswith(f"modelport: error: {error['what']}")


def test_json_of_a_refused_capture_has_its_findings(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "r.py").write_text(
        "import torch, modelport\n"
        "class Model(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        return x * 2 if x.sum() > 0 else x - 1\n"
        "def recipe():\n"
        "    return modelport.Recipe(Model(), args=(torch.ones(2, 3),), capture='trace')\n"
    )
    ran = cli("export", tmp_path / "r.py", "-o", tmp_path / "x.onnx", "--json")
    assert ran.code == 1
    error = json.loads(ran.out)["error"]
    assert error["code"] == "export"
    assert any(item["where"].endswith("r.py:4") for item in error["findings"])


def test_interrupt_ends_without_a_traceback_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "r.py").write_text(SLOW_RECIPE)
    # A shell that runs tests in the background ignores the signal for its children.
    process = start(
        *("deploy", tmp_path / "r.py", "-o", tmp_path / "x.port", "--capture", "trace", "-vv"),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "interrupted" in said
    assert not (tmp_path / "x.port").exists()


def test_reader_that_leaves_ends_the_command_quietly(onnx_file: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    words = [sys.executable, "-m", "modelport", "graph", "print", str(onnx_file)]
    done = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert done.returncode == 141
    assert done.stderr == ""


def test_no_space_is_named_with_a_way_out(onnx_file: Path, tmp_path: Path) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))

    process = start("graph", "simplify", onnx_file, "-o", tmp_path / "y.onnx", preexec_fn=limited)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "File too large" in said
    assert "ulimit -f" in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (MemoryError("std::bad_alloc"), 2, "not enough memory"),
        (OSError(28, "No space left on device", "/full/x"), 2, "/full/x"),
        (OSError(30, "Read-only file system", "/ro/x"), 2, "MODELPORT_CACHE"),
        (ModuleNotFoundError("No module named 'onnx'", name="onnx"), 2, "pip install"),
        (ZeroDivisionError("division by zero"), 70, "ZeroDivisionError: division by zero"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_python_raises_is_a_message(
    cli: RunCli, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, said: str
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("modelport.backends.doctor", fail)
    ran = cli("doctor", "--json")
    assert ran.code == code
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert json.loads(ran.out)["error"]["code"] == ("internal" if code == 70 else "usage")
    with pytest.raises(type(error)):
        dispatch.main(["--debug", "doctor"])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_page_of_errors_has_every_code(kind: type[modelport.errors.ModelportError]) -> None:
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    assert f"| `{kind.code}` |" in page
    assert [each.code for each in KINDS].count(kind.code) == 1


@pytest.mark.parametrize(
    "command",
    [
        ("graph", "simplify", "{onnx}", "-o", "{new}/a/b/y.onnx"),
        ("graph", "draw", "{onnx}", "-o", "{new}/a/y.svg"),
        ("deploy", "{onnx}", "-o", "{new}/a/b/y.port"),
        ("export", "{recipe}", "-o", "{new}/y.onnx"),
        ("bundle", "dockerfile", "{bundle}", "-o", "{new}/a/container"),
        ("quantize", "{onnx}", "-o", "{new}/a/half.onnx", "--fp16"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_missing_folder_of_the_output_is_made(
    cli: RunCli, onnx_file: Path, recipe_file: Path, bundle: Path, tmp_path: Path, command: Any
) -> None:
    new = tmp_path / "new"
    paths = {"onnx": onnx_file, "recipe": recipe_file, "bundle": bundle, "new": new}
    words = [word.format(**paths) for word in command]
    ran = cli(*words)
    assert ran.code == 0, ran.err
    assert Path(words[words.index("-o") + 1]).exists()


@pytest.mark.parametrize("command", [("deploy",), ("export",), ("graph", "simplify"), ("init",)])
def test_failure_leaves_no_empty_folder(cli: RunCli, tmp_path: Path, command: Any) -> None:
    assert cli(*command, tmp_path / "none.onnx", "-o", tmp_path / "new" / "a" / "y").code == 2
    assert list(tmp_path.iterdir()) == []


def test_file_in_the_place_of_the_folder_is_named(
    cli: RunCli, onnx_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    ran = cli("graph", "simplify", onnx_file, "-o", tmp_path / "file" / "a" / "y.onnx")
    assert ran.code == 2
    assert str(tmp_path / "file") in ran.err


@pytest.mark.parametrize(
    "command",
    [
        ("export", "{recipe}"),
        ("deploy", "{onnx}"),
        ("quantize", "{onnx}", "--fp16"),
        ("graph", "simplify", "{onnx}"),
        ("graph", "draw", "{onnx}"),
        ("graph", "edit", "{onnx}", "--opset", "19"),
        ("bundle", "dockerfile", "{bundle}"),
        ("init", "{onnx}"),
        ("init", "{onnx}", "--force"),
    ],
    ids=" ".join,
)
def test_folder_with_files_of_the_user_is_left_alone(
    cli: RunCli, onnx_file: Path, recipe_file: Path, bundle: Path, tmp_path: Path, command: Any
) -> None:
    mine = tmp_path / "mine.svg"
    mine.mkdir()
    (mine / "photo.png").touch()
    words = [word.format(onnx=onnx_file, recipe=recipe_file, bundle=bundle) for word in command]
    ran = cli(*words, "-o", mine)
    assert ran.code == 2, ran.out
    assert str(mine) in ran.err
    assert [path.name for path in mine.iterdir()] == ["photo.png"]
