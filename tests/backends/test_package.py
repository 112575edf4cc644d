"""A backend of another package, which an entry point alone adds, in every command."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import modelport
from modelport import entry_points
from modelport.backends import backend_names, get_backend
from modelport.cli import main
from modelport.passes import prepare
from modelport.tuning.candidate_report import FAILED, FINISHED
from tests.precision.nets import pictures, residual

PACKAGE = Path(__file__).parents[1] / "backend_package"
RECIPE = """
import torch
import modelport

def recipe():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Softplus(), torch.nn.Linear(16, 4))
    return modelport.Recipe(net, (torch.rand(2, 8),), input_names=["x"], output_names=["y"])
"""
Command = Callable[..., str]


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Installs the package as pip does in development: a path, and the metadata of its project."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    site = tmp_path / "site"
    info = site / f"sample_backend-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    sections = (
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in project["entry-points"].items()
    )
    (info / "entry_points.txt").write_text("\n".join(sections))
    for path in (PACKAGE, site):
        monkeypatch.syspath_prepend(path)
    # Children, too, find what is installed.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    entry_points.installed.cache_clear()
    yield
    entry_points.installed.cache_clear()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*words: object, code: int = 0) -> str:
        capsys.readouterr()
        ended = main([str(word) for word in words])
        captured = capsys.readouterr()
        assert ended == code, captured.err
        return captured.out + captured.err

    return run


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    text = """<ir_version: 9, opset_import: ["": 18]>
    g (float[N] x) => (float[N] y) { s = Softplus(x) y = Erf(s) }"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def test_no_source_of_modelport_knows_it() -> None:
    root = Path(modelport.__file__).parent
    assert [path for path in root.rglob("*.py") if "sample_backend" in path.read_text()] == []


def test_doctor(run: Command) -> None:
    found = json.loads(run("doctor", "--json"))
    (row,) = [probe for probe in found["backends"] if probe["name"] == "sample"]
    assert (row["works"], row["version"]) == (True, "1.2.0")
    assert found["capabilities"]["sample"]["tunable"] == {"execution": ["sequential", "parallel"]}
    assert "sample" in backend_names()


def test_deploy_rewrites_and_proves(run: Command, recipe: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "net.port"
    out = run("deploy", recipe, "-o", bundle, "--target", "sample", "--target", "onnxruntime")
    assert "sample:cpu:fp32: agrees with the reference" in out
    operators = {
        node.op_type for node in onnx.load(bundle / "graphs/sample-cpu-fp32.onnx").graph.node
    }
    assert "Softplus" not in operators
    assert "Log" in operators
    assert "sample:cpu:fp32" in run("bundle", "selftest", bundle, "--trust")
    x = np.random.default_rng(0).standard_normal((2, 8)).astype(np.float32)
    engines = [modelport.load(bundle, target) for target in ("sample", "onnxruntime")]
    results = [engine.run({"x": x})["y"] for engine in engines]
    np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-6)


def test_option(recipe: Path, tmp_path: Path, run: Command) -> None:
    bundle = tmp_path / "net.port"
    run("deploy", recipe, "-o", bundle, "--target", "sample")
    assert modelport.load(bundle, execution="parallel", threads=1).target.backend == "sample"
    with pytest.raises(modelport.UsageError, match="no option lanes"):
        modelport.load(bundle, lanes=2)


def test_tune_tries_its_option(run: Command, recipe: Path, tmp_path: Path) -> None:
    words = ("--target", "sample", "--budget", 4, "--json")
    found = json.loads(run("tune", recipe, "-o", tmp_path / "best.port", *words))
    rows = found["candidates"]
    assert {row["target"] for row in rows} == {"sample:cpu:fp32"}
    assert {"execution": "parallel"} in [row["options"] for row in rows]
    assert rows[0]["state"] == FINISHED
    assert FAILED not in {row["state"] for row in rows}


def test_quantize_uses_its_scheme(run: Command, tmp_path: Path) -> None:
    data, output = tmp_path / "data.npz", tmp_path / "q.onnx"
    np.savez(data, x=np.concatenate([case["x"] for case in pictures(10)]))
    model = residual()[1].save(tmp_path / "m.onnx")
    words = ("quantize", model, "--int8", "--data", data, "-o", output)
    run(*words, "--target", "sample")
    by_backend = output.read_bytes()
    run(*words, "--form", get_backend("sample").quantization_scheme(modelport.Target("sample")))
    assert output.read_bytes() == by_backend
    run(*words)
    assert output.read_bytes() != by_backend
    with pytest.raises(SystemExit, match="2"):
        run(*words, "--target", "sample", "--form", "mixed")


def test_lint_has_its_rule_and_its_rewrite(run: Command, graph: Path) -> None:
    found = json.loads(run("graph", "lint", graph, "--target", "sample", "--json"))
    assert {item["rule"] for item in found} == {"sample-slow", "sample-softplus"}


def test_dockerfile_installs_what_it_requires(run: Command, recipe: Path, tmp_path: Path) -> None:
    bundle, image = tmp_path / "net.port", tmp_path / "image"
    run("deploy", recipe, "-o", bundle, "--target", "sample")
    run("bundle", "dockerfile", bundle, "-o", image)
    lines = (image / "requirements.txt").read_text().splitlines()
    assert "sample-backend==1.2.0" in lines
    assert "onnxruntime" in lines


def test_what_it_does_not_offer_is_refused(run: Command, recipe: Path, tmp_path: Path) -> None:
    out = run("deploy", recipe, "-o", tmp_path / "a.port", "--target", "sample:fp16", code=2)
    assert "the backend sample does not compute in fp16" in out
    assert "fp32, int8" in out


def test_graph_that_it_refuses_fails_with_its_reason(graph: Path) -> None:
    backend = get_backend("sample")
    with pytest.raises(modelport.BuildError, match="has no Softplus"):
        backend.compile(graph.parent, graph.name, modelport.Target("sample"))


def test_rewrite_computes_what_torch_does(tmp_path: Path) -> None:
    softplus = torch.nn.Softplus()
    x = torch.tensor([-200.0, -1.0, 0.0, 1.0, 200.0])
    recipe = modelport.Recipe(softplus, (x,), input_names=["x"], output_names=["y"])
    ready = prepare(modelport.export(recipe), modelport.Target("sample"))
    engine = modelport.load(ready.save(tmp_path / "m.onnx"), "sample")
    np.testing.assert_allclose(engine.run({"x": x.numpy()})["y"], softplus(x).numpy(), rtol=1e-6)
