from __future__ import annotations

import resource
import statistics
import subprocess
import sys

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


def test_help_needs_no_torch_and_no_runtime() -> None:
    modules = loaded(
        "from modelport.cli import main\ntry:\n    main(['deploy', '--help'])\n"
        "except SystemExit:\n    pass"
    )
    assert not modules & {"torch", "onnxruntime", "onnx", "onnx_ir"}


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
