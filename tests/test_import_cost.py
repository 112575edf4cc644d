from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import modelport
from modelport.cli.dispatch import COMMANDS

HEAVY = ("torch", "onnxruntime", "onnx", "onnx_ir", "onnxscript", "numpy", "PIL", "rich", "jinja2")


def loaded(code: str) -> set[str]:
    """The modules that are loaded after some code ran in a process of its own."""
    program = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def user_seconds(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run([sys.executable, "-c", code], check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def test_import_loads_nothing_heavy() -> None:
    modules = loaded("import modelport")
    assert "modelport" in modules
    assert not modules & set(HEAVY)


def test_loading_the_loader_needs_no_torch_and_no_runtime() -> None:
    modules = loaded("import modelport; modelport.load; modelport.Target; modelport.Dim")
    assert not modules & {"torch", "onnxruntime", "onnx", "onnx_ir", "jinja2"}


def test_errors_and_targets_need_no_numpy() -> None:
    modules = loaded("import modelport; modelport.UsageError; modelport.Target; modelport.Finding")
    assert not modules & {"numpy", "torch", "onnxruntime"}


def after_command(*words: object) -> set[str]:
    """The modules that are loaded after a command ran in a process of its own."""
    given = [str(word) for word in words]
    return loaded(
        "import contextlib, io\nfrom modelport.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        f"    assert main({given!r}) == 0"
    )


def packages(modules: set[str]) -> set[str]:
    """The packages of modelport whose modules are among some; a package alone costs nothing."""
    return {name.split(".")[1] for name in modules if name.count(".") > 1 and is_own(name)}


def is_own(name: str) -> bool:
    return name.startswith("modelport.")


@pytest.mark.parametrize("words", [("--help",), ("deploy", "--help"), ("--version",)])
def test_help_needs_neither_numpy_nor_what_commands_do(words: tuple[str, ...]) -> None:
    modules = after_command(*words)
    assert not modules & {"numpy", *HEAVY}
    assert packages(modules) <= {"cli", "files"}


def test_a_command_loads_no_other_command() -> None:
    others = {f"modelport.cli.{name}" for name in COMMANDS} - {"modelport.cli.run"}
    assert not after_command("run", "--help") & others
    assert others < after_command("--help")


def test_a_bundle_runs_without_what_makes_and_judges_bundles(
    deployed: modelport.Deployment, tmp_path: Path
) -> None:
    np.save(tmp_path / "image.npy", np.zeros((1, 3, 16, 16), np.float32))
    modules = after_command("run", deployed.path, "--input", f"image=@{tmp_path / 'image.npy'}")
    assert "onnxruntime" in modules
    assert not modules & {*HEAVY, "importlib.metadata"} - {"numpy", "onnxruntime"}
    assert packages(modules) == {"backends", "bundle", "cli", "files", "ir", "ops"}


def test_deploying_loads_no_backend_but_the_one_asked_for(
    recipe_file: Path, tmp_path: Path
) -> None:
    options = ("-o", tmp_path / "tiny.port", "--target", "onnxruntime", "--capture", "dynamo")
    modules = after_command("deploy", recipe_file, *options)
    assert {"torch", "onnxruntime"} <= modules
    assert not modules & {"openvino", "tensorrt", "torchvision", "rich"}
    assert not packages(modules) & {"conformance", "debug", "tuning"}
    unasked = ("backends.openvino", "backends.tensorrt")
    prefixes = tuple(f"modelport.{name}" for name in unasked)
    assert not [name for name in modules if name.startswith(prefixes)]


def test_import_takes_a_moment() -> None:
    # Interleaved, so that a busy machine slows both.
    pairs = [(user_seconds("import modelport"), user_seconds("pass")) for _ in range(7)]
    with_import = statistics.median(pair[0] for pair in pairs)
    bare = statistics.median(pair[1] for pair in pairs)
    assert with_import - bare < 0.3


def test_telemetry_is_off_before_the_runtime_is_imported() -> None:
    program = (
        "import os; os.environ.pop('ORT_DISABLE_TELEMETRY', None); import modelport;"
        "print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "1"
