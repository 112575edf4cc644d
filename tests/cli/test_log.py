from __future__ import annotations

import argparse
import json
import logging
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelport.cli import log
from modelport.cli.dispatch import build_parser
from tests.support import Ran

RunCli = Callable[..., Ran]

CLASSIFIER = """
import os, sys, warnings
import torch, modelport
from torch import nn

class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(4)
        )
        self.head = nn.Linear(128, 10)

    def forward(self, image):
        os.write(1, b"text of native code\\n")
        os.write(2, b"error of native code\\n")
        print("error of Python code", file=sys.stderr)
        warnings.warn("a warning of the model")
        features = self.features(image).flatten(1)
        if features.shape[0] > 100:
            features = features.relu()
        return self.head(features).softmax(-1)

def recipe():
    torch.manual_seed(0)
    return modelport.Recipe(
        Classifier().eval(), (torch.rand(2, 3, 16, 16),), dynamic={"image": {0: "batch"}}
    )
"""


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    path = tmp_path / "classifier.py"
    path.write_text(CLASSIFIER)
    return path


PROGRESS = re.compile(r"[a-z ,0-9:.]+: (\d+\.\d s|failed)")


def foreign_lines(ran: Ran) -> list[str]:
    """Lines on stderr that are not progress."""
    return [line for line in ran.err.splitlines() if not PROGRESS.fullmatch(line)]


@pytest.mark.parametrize("options", [(), ("--target", "openvino")])
def test_nothing_of_torch_or_a_runtime_reaches_the_terminal(
    run_cli: RunCli, classifier: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    ran = run_cli("deploy", classifier, "-o", tmp_path / "a.port", *options)
    assert ran.code == 0, ran.err
    assert foreign_lines(ran) == []
    assert "native code" not in ran.out


@pytest.mark.parametrize("strategy", ["trace", "script"])
def test_nothing_of_the_torchscript_exporter_reaches_the_terminal(
    run_cli: RunCli, tmp_path: Path, strategy: str
) -> None:
    source = tmp_path / "model.py"
    source.write_text(
        textwrap.dedent(
            f"""
            import torch, torch.nn as nn, modelport
            def recipe():
                model = nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.LayerNorm(4)).eval()
                return modelport.Recipe(model, (torch.rand(2, 4),), capture={strategy!r})
            """
        )
    )
    ran = run_cli("export", source, "-o", tmp_path / "a.onnx")
    assert ran.code == 0, ran.err
    assert foreign_lines(ran) == []
    assert "graph(" not in ran.out


def test_verbose_names_each_decision_and_its_reason(
    run_cli: RunCli, classifier: Path, tmp_path: Path
) -> None:
    ran = run_cli("deploy", classifier, "-o", tmp_path / "a.port", "--target", "openvino", "-v")
    assert ran.code == 0, ran.err
    lines = ran.err.splitlines()
    assert "[capture] strategy dynamo: tried, the first choice of auto" in lines
    assert any(re.match(r"\[capture\] strategy dynamo: captured \d+ nodes", line) for line in lines)
    assert any(line.startswith("[capture] shipped rewrites without a call: ") for line in lines)
    assert "[deployment] plan openvino:cpu:fp32: the target's default" in lines
    verdicts = [line for line in lines if "agrees with the reference model on" in line]
    assert len(verdicts) == 1
    assert "[native] text of native code" in lines
    assert "[native] error of Python code" in lines
    assert any("[py.warnings]" in line and "a warning of the model" in line for line in lines)


def test_verbose_names_what_each_pass_does(run_cli: RunCli, tmp_path: Path) -> None:
    source = tmp_path / "model.py"
    source.write_text(CLASSIFIER)
    assert run_cli("export", source, "-o", tmp_path / "a.onnx").code == 0
    ran = run_cli("graph", "simplify", tmp_path / "a.onnx", "-o", tmp_path / "b.onnx", "-v")
    assert ran.code == 0, ran.err
    passes = [line for line in ran.err.splitlines() if line.startswith("[passes] ")]
    assert any(line.endswith((": changed the graph", ": no change")) for line in passes)
    assert any(re.search(r"node '.*' \(\w+\): .*: (done|refused, .+)", line) for line in passes)


def test_verbose_names_refused_strategies(run_cli: RunCli, tmp_path: Path) -> None:
    source = tmp_path / "branch.py"
    source.write_text(
        textwrap.dedent(
            """
            import torch, modelport

            class Branch(torch.nn.Module):
                def forward(self, x):
                    if x.sum() > 0:
                        return x + 1
                    return x - 1

            def recipe():
                return modelport.Recipe(Branch(), (torch.rand(3),))
            """
        )
    )
    ran = run_cli("export", source, "-o", tmp_path / "a.onnx", "-v")
    lines = ran.err.splitlines()
    assert any(line.startswith("[capture] strategy dynamo: refused, ") for line in lines)
    assert any(line.startswith("[capture] strategy trace: tried, ") for line in lines)


def test_quiet_prints_results_and_errors_alone(
    run_cli: RunCli, classifier: Path, tmp_path: Path
) -> None:
    ran = run_cli("deploy", classifier, "-o", tmp_path / "a.port", "-q")
    assert (ran.code, ran.err) == (0, "")
    assert "wrote" in ran.out
    ran = run_cli("deploy", tmp_path / "missing.py", "-o", tmp_path / "b.port", "--quiet")
    assert ran.code == 2
    assert ran.err.startswith("modelport: error: ")


def test_the_log_file_holds_everything(run_cli: RunCli, classifier: Path, tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    ran = run_cli("--log-file", path, "deploy", classifier, "-o", tmp_path / "a.port", "-q")
    assert (ran.code, ran.err) == (0, "")
    text = path.read_text()
    assert "DEBUG modelport.capture: strategy dynamo: tried" in text
    assert "INFO native: error of native code" in text
    assert "WARNING py.warnings: " in text
    assert run_cli("check", tmp_path / "a.port", "--log-file", path).code in (0, 2)
    assert path.read_text().startswith(text)


def test_json_on_stdout_stays_one_object(run_cli: RunCli, classifier: Path, tmp_path: Path) -> None:
    ran = run_cli("deploy", classifier, "-o", tmp_path / "a.port", "--json", "-v")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["targets"] == ["onnxruntime:cpu:fp32"]


def test_verbose_and_quiet_exclude_each_other(cli: RunCli) -> None:
    ran = cli("doctor", "-v", "-q")
    assert ran.code == 2
    assert "-v and -q exclude each other" in ran.err


def test_a_log_file_that_cannot_be_written_is_an_error(cli: RunCli, tmp_path: Path) -> None:
    ran = cli("doctor", "--log-file", tmp_path / "missing" / "log.txt")
    assert ran.code == 2
    assert "cannot write the log file" in ran.err


def commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from commands(inner)


def test_every_command_has_the_options() -> None:
    found = list(commands(build_parser()))
    assert len(found) > 40
    for parser in found:
        assert {"-v", "-q", "--log-file"} <= set(parser._option_string_actions), parser.prog


def test_handlers_and_levels_are_restored(capsys: pytest.CaptureFixture[str]) -> None:
    root, own = logging.getLogger(), logging.getLogger("modelport")
    before = list(root.handlers), root.level, own.level, sys.stdout, sys.stderr
    with log.recorded(argparse.Namespace(verbose=2)):
        logging.getLogger("modelport.passes").debug("a decision")
        logging.getLogger("some.library").info("a line")
    assert (list(root.handlers), root.level, own.level, sys.stdout, sys.stderr) == before
    assert capsys.readouterr().err == "[passes] a decision\n[some.library] a line\n"
