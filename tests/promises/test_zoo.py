"""M18: nearly any public architecture goes through; here, small ones of all kinds in plain torch.

The zoo itself, with the libraries' models, is `make zoo`.
"""

import json
import os
import signal
import time

import pytest
import torch

import modelport
from zoo.apart import run_apart
from zoo.entry import Entry
from zoo.models import plain
from zoo.page import PAGE, page_text, totals
from zoo.reasons import reason_for
from zoo.rows import RESULTS, Rows
from zoo.steps import CASES, export_bare

ENTRIES = {entry.name.partition("/")[2]: entry for entry in plain.entries()}
SLOW = ("Swin", "DDPM", "RAFT", "Detector", "VAE", "DenseNet", "Mixer", "CRNN", "GRU.attention")
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in ENTRIES]


@pytest.mark.parametrize("name", NAMES)
def test_deploys_and_agrees_at_shapes_that_were_not_exported(name, tmp_path):
    recipe = ENTRIES[name].recipe()
    done = modelport.deploy(recipe, tmp_path / "model.port")
    (verification,) = done.verifications.values()
    example = verification.cases[0].shapes
    other = [case for case in verification.cases if dict(case.shapes) != dict(example)]
    assert verification.ok
    assert len(other) >= CASES


def test_what_bare_export_does_is_compared_on_the_same_cases():
    assert export_bare(ENTRIES["LeNet"]) == {"cases": 1 + CASES, "empty": ""}


def test_a_model_whose_comparison_proves_nothing_is_told():
    def silent():
        model = torch.nn.Linear(4, 2)
        torch.nn.init.zeros_(model.weight)
        return modelport.Recipe(model.eval(), torch.rand(3, 4), dynamic={"input": [0]})

    assert export_bare(Entry("plain/silent", silent))["empty"] == (
        "the outputs are the same whatever the inputs are"
    )


@pytest.mark.parametrize(
    ("function", "failure"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "crash"),
        (lambda: time.sleep(60), "timeout"),
        (lambda: 1 / 0, "traceback"),
        (lambda: 7, ""),
    ],
)
def test_every_end_of_a_process_is_an_outcome(function, failure, tmp_path):
    outcome = run_apart(function, seconds=0.5, gib=64, log=tmp_path / "log")
    assert outcome.failure == failure
    assert outcome.value == (None if failure else 7)
    assert bool(outcome.message) == bool(failure)


def test_a_kill_costs_one_row(tmp_path):
    rows = Rows(tmp_path)
    rows.append({"name": "zoo-test/a", "seconds": 1})
    rows.append({"name": "zoo-test/a", "seconds": 2})
    with (tmp_path / "rows.jsonl").open("a") as file:
        file.write('{"name": "zoo-test/b", "sec')
    found = {name: row for name, row in rows.newest().items() if name.startswith("zoo-test")}
    assert found == {"zoo-test/a": {"name": "zoo-test/a", "seconds": 2}}


@pytest.mark.parametrize(
    ("error", "title"),
    [
        (("ProofError", "… [branch-on-shape] at swin.py:7 …"), "the code decides by sizes"),
        (("ExportError", "capturing by dynamo failed"), "torch.export, and the tracer"),
        (("timeout", "not done after 9 s"), "it took too long"),
        (("KeyError", "'x'"), "something else"),
    ],
)
def test_a_failure_has_a_reason_in_plain_words(error, title):
    reason = reason_for(dict(zip(("class", "message"), error, strict=True)))
    assert reason.title.startswith(title)
    assert reason.way_out
    assert not reason.apart


def test_what_tensorrt_lacks_is_counted_apart():
    def row(name, message):
        failed = {"ok": False, "error": {"class": "BuildError", "message": message}}
        targets = {"onnxruntime": {"ok": True}, "openvino": {"ok": True}, "tensorrt-rtx": failed}
        return {"name": name, "empty": "", "targets": targets, "bare": {"ok": True}}

    rows = [row("a/dft", "DFT: it has no such operator"), row("a/other", "out of memory")]
    assert totals(rows) | {"apart": 1} == totals(rows)
    assert totals(rows)["tensorrt-rtx"] == 0


def test_the_page_says_what_its_rows_say():
    results = json.loads(RESULTS.read_text())
    rows = results["rows"]
    assert page_text(rows, results["versions"], results["models"]) == PAGE.read_text()
    assert results["totals"] == totals(rows)
    for row in rows:
        for target in row["targets"].values():
            assert target["ok"] == ("error" not in target)
            assert not target["ok"] or target["other_shapes"] >= CASES
            assert target["ok"] or target["error"]["message"]
