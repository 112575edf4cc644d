"""One binary for every version of ONNX Runtime, the oldest in an environment of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from modelport.ops.library_store import library_path
from tests.operators.graphs import model_of

OLDEST, TOO_OLD = "1.17.3", "1.16.3"

GRAPHS = {
    "twice": "g (float[n] x) => (float[n] y) { y = trial.twice(x) }",
    "joined": "g (float[n] x) => (float[m] y) { y = trial.joined(x, x, x) }",
    "positive": "g (float[n] x) => (float[k] y) { y, i = trial.positive(x) }",
    "echo": """g (float[n] x) => (double[m] y) {
        y = trial.echo<whole = 3, wholes = [4, 5], real = 0.25, text = "ab">(x)
    }""",
    "workers": "g (float[n] x) => (int64[n] y) { y = trial.workers(x) }",
    "failing": "g (float[n] x) => (int64[n] y) { y = trial.workers<fails_at = 1>(x) }",
    "missing": "g (float[n] x) => (double[m] y) { y = trial.echo<whole = 3>(x) }",
    "kind": "g (float[n] x) => (double[m] y) { y = trial.echo<whole = 0.5, wholes = [1]>(x) }",
}

RUNNER = """
import json, pathlib, sys
import numpy as np
import onnxruntime as ort

found = {"version": ort.__version__}
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.onnx")):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        options.register_custom_ops_library(sys.argv[2])
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        x = np.array([-1.0, 2.0, 0.5], np.float32)
        found[path.stem] = session.run(None, {"x": x})[-1].tolist()
    except Exception as error:
        found[path.stem] = f"{type(error).__name__}: {error}"
print(json.dumps(found))
"""


def write_graphs(folder: Path) -> None:
    for name, graph in GRAPHS.items():
        onnx.save(model_of(graph), folder / f"{name}.onnx")
    # Optional inputs that are not there, and an output that nobody uses.
    model = model_of("g (float[n] x) => (int32[m] y) { s, y = trial.pick(x, none, c) }")
    node = model.graph.node[0]
    node.input[1] = ""
    cast = onnx.helper.make_node("Cast", ["x"], ["c"], to=onnx.TensorProto.DOUBLE)
    model.graph.node.insert(0, cast)
    onnx.save(model, folder / "pick.onnx")
    model.graph.node[1].output[0] = ""
    onnx.save(model, folder / "unused.onnx")


def ask(python: Path | str, folder: Path) -> dict[str, object]:
    write_graphs(folder)
    command = [str(python), "-c", RUNNER, str(folder), str(library_path("trial"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def environment(version: str, folder: Path) -> Path:
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    packages = [f"onnxruntime=={version}", "numpy<2"]
    command = [str(python), "-m", "pip", "install", "--quiet", *packages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return python


def require_all_work(found: dict[str, object]) -> None:
    assert found["twice"] == [-2.0, 4.0, 1.0]
    assert found["joined"] == [-1.0, 2.0, 0.5] * 3
    assert found["positive"] == [2.0, 0.5]
    texts = [2, 97, 98, 1, 97, 0, 3, 98, 99, 100]
    assert found["echo"] == [3, 4, 5, 0.25, 1, *texts, 0.25, -1.5]
    assert found["pick"] == [1, 0, 1, 0, 0]
    assert found["unused"] == [1, 0, 1, 0, 0]
    assert np.all(np.array(found["workers"]) > 0)
    assert "element 1 was to fail" in str(found["failing"])
    assert "the attribute 'wholes' is missing" in str(found["missing"])
    assert "the attribute 'whole' has the wrong type" in str(found["kind"])


@pytest.mark.usefixtures("trial")
def test_installed_version(tmp_path: Path) -> None:
    found = ask(sys.executable, tmp_path)
    assert found["version"] == onnxruntime.__version__
    require_all_work(found)


@pytest.mark.slow
@pytest.mark.usefixtures("trial")
def test_oldest_version(tmp_path: Path) -> None:
    found = ask(environment(OLDEST, tmp_path / "oldest"), tmp_path)
    assert found["version"] == OLDEST
    require_all_work(found)


@pytest.mark.slow
@pytest.mark.usefixtures("trial")
def test_version_that_is_too_old(tmp_path: Path) -> None:
    found = ask(environment(TOO_OLD, tmp_path / "older"), tmp_path)
    assert found["version"] == TOO_OLD
    said = f"operators of 'trial' need ONNX Runtime >= 1.17, this is {TOO_OLD}"
    assert said in str(found["twice"])
