"""Passes of another package, which an entry point alone brings along."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

import modelport
from modelport import Target, entry_points
from modelport.cli import main
from modelport.passes import applicable, lint_for, prepare, registry, rewritten
from tests.passes.support import run
from tests.support import onnx_text

PACKAGE = '''
import onnx_ir as ir

from modelport.findings import Finding, Severity
from modelport.passes import Rewrite


class DoubleNegation(Rewrite):
    """A `Neg` of a `Neg` is what it began with."""

    stages = {stages}

    def call(self, model):
        modified = False
        for node in list(model.graph):
            first = node.inputs[0].producer() if node.op_type == "Neg" else None
            if first is None:
                continue
            if first.op_type != "Neg":
                self.decided(node, "two are none", refused="what it negates is no Neg")
                continue
            self.decided(node, "two are none")
            node.outputs[0].replace_all_uses_with(first.inputs[0])
            modified = True
        return ir.passes.PassResult(model, modified)
'''
BODY = """g (float[N, 2] x) => (float[N, 2] y) {
    a = Neg(x)
    b = Neg(a)
    c = Softmax(b)
    y = Neg(c)
}"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Leaves what `pip install` leaves of a package with an entry point."""

    def forget() -> None:
        entry_points.installed.cache_clear()
        registry._passes.cache_clear()

    def install(
        *stages: str, text: str | None = None, entry: str = "their_passes:DoubleNegation"
    ) -> None:
        folder = tmp_path / "installed"
        info = folder / "their_passes-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / "their_passes.py").write_text(text or PACKAGE.replace("{stages}", repr(stages)))
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-passes\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            f"[{registry.ENTRY_POINTS}]\ndouble-negation = {entry}\n"
        )
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, "their_passes", raising=False)
        forget()

    yield install
    forget()


def operators(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


def test_simplify_runs_it_in_its_rounds(
    install: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install("simplify")
    before, after = onnx_text(tmp_path / "m.onnx", BODY), tmp_path / "out.onnx"
    assert main(["graph", "simplify", str(before), "-o", str(after), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["nodes"] == {"before": 4, "after": 2}
    assert operators(after) == ["Softmax", "Neg"]
    x = {"x": np.array([[1, 2], [3, 5]], np.float32)}
    np.testing.assert_array_equal(run(before, x)[0], run(after, x)[0])


def test_pass_of_another_stage_does_not_run(install: Install, tmp_path: Path) -> None:
    install("openvino")
    path = onnx_text(tmp_path / "m.onnx", BODY)
    assert modelport.simplify(path).after["Neg"] == 3
    model = modelport.Model.load(path)
    assert prepare(model, Target("onnxruntime")) is model
    assert "double-negation" not in applicable(model)


@pytest.mark.parametrize("stage", ["onnxruntime", "*"])
def test_graph_is_prepared_by_it(stage: str, install: Install, tmp_path: Path) -> None:
    install(stage)
    model = modelport.Model.load(onnx_text(tmp_path / "m.onnx", BODY))
    ready = prepare(model, Target("onnxruntime"))
    assert [node.op_type for node in ready.ir.graph if node.outputs[0].uses()][-1:] == ["Softmax"]
    assert ready.ir.graph.outputs[0].producer().inputs[0].producer().inputs[0].name == "x"
    assert [finding.rule for finding in lint_for(model, "onnxruntime")] == ["registered-pass"]
    assert len(model.ir.graph) == 4


def test_backend_with_rewrites_of_its_own_sees_what_it_wrote(
    install: Install, tmp_path: Path
) -> None:
    install("openvino")
    model = modelport.Model.load(onnx_text(tmp_path / "m.onnx", BODY))
    ready = prepare(model, Target("openvino"))
    assert [finding.rule for finding in ready.findings] == ["registered-pass"]


def test_tune_has_it_as_a_rewrite(install: Install, tmp_path: Path) -> None:
    install("tune")
    model = modelport.Model.load(onnx_text(tmp_path / "m.onnx", BODY))
    assert applicable(model) == ["double-negation", "simplify"]
    changed = rewritten(model, ["double-negation"])
    assert changed.ir.graph[2].inputs[0].name == "x"
    assert model.ir.graph[2].inputs[0].name != "x"


def test_every_decision_is_logged(
    install: Install, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    install("simplify")
    caplog.set_level(logging.DEBUG, "modelport.passes")
    modelport.simplify(onnx_text(tmp_path / "m.onnx", BODY), check=False)
    assert "double-negation: node 'b' (Neg): two are none: done" in caplog.messages
    assert (
        "double-negation: node 'y' (Neg): two are none: refused, what it negates is no Neg"
        in caplog.messages
    )
    assert "double-negation: changed the graph" in caplog.messages
    assert caplog.messages[-1].startswith("NameFixPass: ")


def test_pass_that_breaks_its_contract_is_named(install: Install, tmp_path: Path) -> None:
    broken = PACKAGE.replace("{stages}", "('simplify',)").replace(
        "modified = False", "model.graph.outputs[0].name = 'z'; modified = False", 1
    )
    install(text=broken)
    with pytest.raises(modelport.PassError) as caught:
        modelport.simplify(onnx_text(tmp_path / "m.onnx", BODY))
    assert caught.value.where == "DoubleNegation"


@pytest.mark.parametrize(
    ("text", "entry", "message"),
    [
        ("import no_such_module", "their_passes:A", "of their-passes cannot be imported"),
        ("A = 3", "their_passes:A", "of their-passes is no pass"),
        (PACKAGE.replace("{stages}", "()"), "their_passes:DoubleNegation", "says nowhere"),
    ],
    ids=["broken", "no-class", "no-stage"],
)
def test_broken_package_is_named(
    text: str, entry: str, message: str, install: Install, tmp_path: Path
) -> None:
    install(text=text, entry=entry)
    with pytest.raises(modelport.UsageError, match=message):
        modelport.simplify(onnx_text(tmp_path / "m.onnx", BODY))
