"""A backend that another package brings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import modelport
from modelport import entry_points
from modelport.backends import registry
from modelport.passes import lint_for, prepare
from modelport.precision import form_for
from tests.support import onnx_text

BACKEND = '''
"""Runs models of one input on ONNX's own reference."""

from pathlib import Path

import onnx
from onnx.reference import ReferenceEvaluator

from modelport.backends.base import Artifact, Binding, Capabilities, Engine, Probe
from modelport.model import Model

CAPABILITIES = Capabilities(("cpu",), {"fp32": "graph"}, ("float32",), "any", ("bodies",), False)


def probe():
    return Probe("plain", True, onnx.__version__)


def version():
    return onnx.__version__


def why_not_run(target):
    return ""


def compile(folder, graph, target, libraries=(), options=None, progress=None):
    return Artifact(graph)


def load(folder, artifact, target, signature=None):
    path = Path(folder) / artifact.graph
    return Plain(path, signature or Model.load(path).signature, target)


class Plain(Engine):
    def __init__(self, path, signature, target):
        super().__init__(signature, target)
        self._evaluator = ReferenceEvaluator(onnx.load(path))

    def run(self, inputs, outputs=None):
        self._guard(inputs)
        names = self._requested(outputs)
        return dict(zip(names, self._evaluator.run(names, dict(inputs)), strict=True))

    def bind(self, inputs, outputs=None):
        raise NotImplementedError
'''


def install(folder: Path, entry: str, **files: str) -> None:
    """What `pip install` leaves of a package with an entry point."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    info = folder / "plain_backend-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plain-backend\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{registry.ENTRY_POINTS}]\nplain = {entry}\n")


@pytest.fixture
def clean() -> Any:
    entry_points.installed.cache_clear()
    yield
    entry_points.installed.cache_clear()


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., str]:
    """Runs a command where the package is installed."""
    install(tmp_path, "plain_backend", plain_backend=BACKEND)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}

    def run(*words: object) -> str:
        command = [sys.executable, "-m", "modelport", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_backend_of_another_package_runs(tmp_path: Path, run: Callable[..., str]) -> None:
    path = onnx_text(tmp_path / "m.onnx", "g (float[N] x) => (float[N] y) { y = Softplus(x) }")
    found = json.loads(run("compare", path, "--target", "onnxruntime,plain", "--json"))
    assert found["ok"]
    assert found["candidate"].endswith("plain:cpu:fp32")


@pytest.mark.slow
def test_backend_of_another_package_deploys(
    tmp_path: Path, recipe_file: Path, run: Callable[..., str]
) -> None:
    bundle = tmp_path / "tiny.port"
    out = run("deploy", recipe_file, "-o", bundle, "--target", "onnxruntime", "--target", "plain")
    assert "plain:cpu:fp32: agrees with the reference" in out
    assert "plain:cpu:fp32" in run("verify", bundle)
    found = json.loads(run("doctor", "--json"))
    assert [probe["name"] for probe in found["backends"]] == [*registry.BACKENDS, "plain"]
    assert found["capabilities"]["plain"]["dtypes"] == ["float32"]


WHOLE = '''
"""A backend with rewrites, rules, a scheme and packages of its own."""

import plain_backend
from modelport.backends import Backend
from modelport.findings import Finding, Severity


class Whole(Backend):
    CAPABILITIES = plain_backend.CAPABILITIES

    def probe(self):
        return plain_backend.probe()

    def version(self):
        return plain_backend.version()

    def compile(self, *args):
        return plain_backend.compile(*args)

    def load(self, *args):
        return plain_backend.load(*args)

    def requirements(self, target):
        return ("onnx", "pillow")

    def legalize(self, model, target, plugins=()):
        nodes = [node for node in model.ir.graph if node.op_type == "Softplus"]
        for node in nodes:
            node.op_type = "Relu"
        return [Finding("softplus-as-relu", Severity.NOTE, "rewritten")] if nodes else []

    def lint_rules(self):
        return (lambda model: [Finding("looked", Severity.NOTE, "looked")],)

    def quantization_scheme(self, target):
        return "mixed"
'''


def test_class_of_another_package_owns_what_a_shipped_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean: None
) -> None:
    install(tmp_path, "whole_backend:Whole", plain_backend=BACKEND, whole_backend=WHOLE)
    monkeypatch.syspath_prepend(tmp_path)
    target = modelport.Target("plain")
    path = onnx_text(tmp_path / "m.onnx", "g (float[2] x) => (float[2] y) { y = Softplus(x) }")
    model = modelport.Model.load(path)
    assert [node.op_type for node in prepare(model, target).ir.graph] == ["Relu"]
    assert [node.op_type for node in model.ir.graph] == ["Softplus"]
    assert {item.rule for item in lint_for(model, target)} == {"looked", "softplus-as-relu"}
    assert form_for(target) == "mixed"
    assert registry.get_backend(target).requirements(target) == ("onnx", "pillow")


def test_backend_that_cannot_be_imported_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean: None
) -> None:
    install(tmp_path, "broken_backend", broken_backend="import no_such_module")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(modelport.UsageError, match="of plain-backend cannot be imported") as caught:
        registry.get_backend("plain")
    assert "no_such_module" in str(caught.value.why)


def test_backend_that_lacks_something_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean: None
) -> None:
    install(tmp_path, "half_backend", half_backend="def probe(): ...")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(modelport.UsageError, match="lacks CAPABILITIES, version, why_not_run"):
        registry.get_backend("plain")


def test_one_that_comes_along_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean: None
) -> None:
    install(tmp_path, "other", other="")
    (tmp_path / "plain_backend-1.0.dist-info" / "entry_points.txt").write_text(
        f"[{registry.ENTRY_POINTS}]\nonnxruntime = other\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert type(registry.get_backend("onnxruntime")).__name__ == "OnnxRuntimeBackend"
    assert registry.backend_names() == registry.BACKENDS
