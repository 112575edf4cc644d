from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import modelport
from modelport import ProofError, Tuning, UsageError, entry_points
from modelport.tuning.candidate_report import FINISHED, SLOWER, UNTRIED
from tests.backends.test_registry import BACKEND, install
from tests.support import Ran, onnx_text
from tests.tuning.recipes import recipe

RunCli = Callable[..., Ran]
SOURCE = str(Path(__file__).parent / "recipes.py")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Tuning:
    path = tmp_path_factory.mktemp("tuned") / "best.port"
    return modelport.tune(recipe(), path, targets=["onnxruntime", "openvino"], budget=4)


def test_every_backend_and_its_variations_are_tried(tuned: Tuning) -> None:
    names = [str(row.plan) for row in tuned.rows]
    assert len(names) == len(set(names))
    assert names[:2] == ["onnxruntime:cpu:fp32", "openvino:cpu:fp32"]
    for change in ("simplify", *(["threads=1"] if len(os.sched_getaffinity(0)) > 1 else [])):
        assert any(name.endswith(change) for name in names)


def test_winner_is_right_and_no_slower_than_any_other(tuned: Tuning) -> None:
    assert tuned.winner.state == FINISHED
    assert tuned.winner.error is not None
    assert tuned.winner.error < 1e-5
    finished = [row for row in tuned.rows if row.state == FINISHED]
    for row in finished:
        assert row.error is not None, "its time counts only where it was compared"
        assert row.ratio_interval is not None
        # No other is faster beyond doubt.
        assert row.ratio_interval[1] >= 1.0
    assert tuned.winner.ratio == 1.0
    assert tuned.winner in finished
    assert {row.state for row in tuned.rows} <= {FINISHED, SLOWER, UNTRIED}
    assert all(row.memory > 10 << 20 for row in tuned.rows if row.state != UNTRIED)


def test_front_has_what_nothing_beats(tuned: Tuning) -> None:
    assert tuned.front
    for row in tuned.front:
        assert row.error is not None
        for other in tuned.rows:
            if other.error is not None and other.timing and row.timing:
                faster = other.timing.median < row.timing.median
                assert not (faster and other.memory < row.memory and other.error < row.error / 10)


def test_winner_is_in_the_bundle_with_the_reason(tuned: Tuning) -> None:
    assert tuned.deployment is not None
    engine = modelport.load(tuned.deployment.path)
    assert engine.target == tuned.winner.plan.target
    manifest = json.loads((tuned.deployment.path / "manifest.json").read_text())
    (target,) = manifest["targets"]
    assert dict(tuned.winner.plan.options).items() <= target["options"].items()
    (chosen,) = [item for item in manifest["findings"] if item["rule"] == "chosen"]
    assert chosen["message"] == tuned.reason
    assert str(tuned.winner.plan) in tuned.reason
    assert "tuned for latency" in (tuned.deployment.path / "report.html").read_text()
    x = np.ones((3, 64), np.float32)
    assert engine.run({"x": x})["y"].shape == (3, 8)


@pytest.mark.slow
def test_budget_is_kept(cli: RunCli, tmp_path: Path) -> None:
    ran = cli("tune", SOURCE, "--target", "onnxruntime", "--budget", "1e-3", "--json")
    assert ran.code == 0, ran.err
    first, *others = json.loads(ran.out)["candidates"]
    # One that is right is what the search does not end without.
    assert first["state"] == FINISHED
    assert others
    assert {(row["state"], row["why"]) for row in others} == {(UNTRIED, "the budget was spent")}


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["throughput", "memory"])
def test_other_metrics(cli: RunCli, tmp_path: Path, metric: str) -> None:
    page = tmp_path / "tune.html"
    command = ("tune", SOURCE, "--metric", metric, "--budget", "2", "--target", "onnxruntime")
    ran = cli(*command, "--report", page)
    assert ran.code == 0, ran.err
    assert f"tuned for {metric}" in ran.out
    assert "onnxruntime:cpu:fp32" in page.read_text()
    assert "<circle" in page.read_text()


@pytest.mark.slow
def test_onnx_file_and_case_are_taken(tmp_path: Path) -> None:
    body = "g (float[N, 4] x) => (float[N, 4] y) { y = Relu(x) }"
    path = onnx_text(tmp_path / "m.onnx", body)
    np.savez(tmp_path / "case.npz", x=np.ones((5, 4), np.float32))
    result = modelport.tune(path, targets=["onnxruntime"], case=tmp_path / "case.npz", budget=1e-3)
    assert result.winner.error == 0.0
    assert result.deployment is None
    np.savez(tmp_path / "case.npz", x=np.ones((5, 3), np.float32))
    with pytest.raises(modelport.RunError, match="axis 1 is 3, not 4"):
        modelport.tune(path, targets=["onnxruntime"], case=tmp_path / "case.npz", budget=1e-3)


def test_what_is_wrong_does_not_count(tmp_path: Path) -> None:
    # OpenVINO computes int64 in int32: fast, and wrong.
    body = """g (int64[N] x) => (int64[N] y) {
        big = Constant <value = int64 {3000000000}> ()
        y = Mul(x, big)
    }"""
    path = onnx_text(tmp_path / "m.onnx", body)
    result = modelport.tune(path, targets=["openvino", "onnxruntime"], budget=1e-3)
    states = {str(row.plan): row.state for row in result.rows}
    assert states["openvino:cpu:fp32"] == "wrong"
    assert result.winner.plan.target.backend == "onnxruntime"
    # The search ends as soon as one is right and the budget is spent.
    assert {row.why for row in result.rows if row.state == UNTRIED} == {"the budget was spent"}
    with pytest.raises(ProofError, match="no candidate") as caught:
        modelport.tune(path, targets=["openvino"], budget=1e-3)
    assert "openvino:cpu:fp32: wrong: case" in str(caught.value.why)


CRASHING = {
    "while it compiles": "def compile(*arguments):\n    ctypes.string_at(0)",
    "while it runs": "Plain.run = lambda *arguments: os.abort()",
    "for ever": "Plain.run = lambda *arguments: time.sleep(3600)",
}


@pytest.mark.parametrize(
    "how",
    [
        "while it compiles",
        *(pytest.param(how, marks=pytest.mark.slow) for how in ("while it runs", "for ever")),
    ],
)
def test_backend_that_crashes_is_a_row(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(entry_points.installed.cache_clear)
    code = f"{BACKEND}\n\nimport ctypes, os, time\n\n{CRASHING[how]}\n"
    install(tmp_path, "plain_backend", plain_backend=code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    entry_points.installed.cache_clear()
    # What hangs is given up when the budget is spent, if another is right by then.
    order, budget = ["plain", "onnxruntime"], 1e-3
    if how == "for ever":
        order, budget = ["onnxruntime", "plain"], 60.0
    found = modelport.tune(recipe(), targets=order, budget=budget)
    assert found.winner.plan.target.backend == "onnxruntime"
    rows = {str(row.plan): row for row in found.rows}
    wanted = {
        "while it compiles": ("failed", "SIGSEGV"),
        "while it runs": ("failed", "SIGABRT"),
        "for ever": (UNTRIED, "the budget was spent before it was done"),
    }
    state, why = wanted[how]
    assert rows["plain:cpu:fp32"].state == state
    assert why in rows["plain:cpu:fp32"].why


def data(folder: Path, count: int = 20) -> Path:
    """A folder of cases, as a user has it."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        np.savez(folder / f"{number}.npz", x=rng.random((4, 64), np.float32))
    return folder


def test_int8_is_a_candidate_where_there_are_data(cli: RunCli, tmp_path: Path) -> None:
    path = tmp_path / "best.port"
    words = ("--target", "onnxruntime:int8", "--tolerance", "0.05", "--budget", "1e-3")
    ran = cli("tune", SOURCE, "-o", path, "--data", data(tmp_path / "data"), *words, "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    # Every fifth of 20 cases is held out; the best of the others is not float32.
    choice = found["quantizations"]["unsigned"]
    assert (choice["cases"], choice["operators"], choice["kept"]) == (16, 2, [])
    first = found["candidates"][0]
    assert (first["candidate"], first["state"]) == ("onnxruntime:cpu:int8", FINISHED)
    assert 1e-4 < first["error"] < 0.05
    manifest = json.loads((path / "manifest.json").read_text())
    (chosen,) = [item for item in manifest["findings"] if item["rule"] == "chosen"]
    assert "calibrated on 16 cases by mse, of 2 operators 0 stay in float32" in chosen["message"]
    assert manifest["provenance"]["quantization"]["calibration"] == "mse"
    graph = onnx.load(path / "graphs" / "onnxruntime-cpu-int8.onnx").graph
    assert [node.op_type for node in graph.node].count("DequantizeLinear") > 2
    # What the bundle holds is what was measured, on data that nothing was calibrated on.
    x = np.random.default_rng(1).random((4, 64), np.float32)
    with torch.no_grad():
        wanted = recipe().model(torch.from_numpy(x)).numpy()
    off = modelport.load(path).run({"x": x})["y"] - wanted
    assert np.sqrt(np.mean(off**2)) < 0.05 * np.sqrt(np.mean(wanted**2))


@pytest.mark.slow
def test_table_is_shared_and_what_costs_most_stays_in_float32(tmp_path: Path) -> None:
    targets = ["onnxruntime", "onnxruntime:int8", "openvino:int8"]
    cases = (np.load(file)["x"] for file in sorted(data(tmp_path / "data").iterdir()))
    found = modelport.tune(recipe(), targets=targets, tolerance=5e-3, data=cases, budget=60)
    assert set(found.quantizations) == {"unsigned", "mixed"}
    for choice in found.quantizations.values():
        assert len(choice["kept"]) == 1
        assert choice["drop"] <= 5e-3
    for row in found.rows:
        if row.plan.target.precision == "int8" and row.error is not None:
            assert row.error <= 5e-3


@pytest.mark.slow
def test_an_impossible_bound_is_a_row_with_the_best_that_was_reached(tmp_path: Path) -> None:
    targets = ["onnxruntime", "onnxruntime:int8"]
    place = data(tmp_path / "data")
    found = modelport.tune(recipe(), targets=targets, tolerance=1e-6, data=place, budget=60)
    rows = {str(row.plan): row for row in found.rows}
    assert rows["onnxruntime:cpu:int8"].state == "failed"
    assert "the best that was reached is" in rows["onnxruntime:cpu:int8"].why
    assert found.winner.plan.target.precision == "fp32"


@pytest.mark.parametrize("what", ["nothing", "nan", "wrong shape"])
def test_bad_data_is_told(cli: RunCli, tmp_path: Path, what: str) -> None:
    arrays = {
        "nan": np.full((4, 64), np.nan, np.float32),
        "wrong shape": np.ones((4, 63), np.float32),
    }
    (tmp_path / "data").mkdir()
    if what in arrays:
        np.savez(tmp_path / "data" / "0.npz", x=arrays[what])
    path = tmp_path / "no.port"
    ran = cli("tune", SOURCE, "-o", path, "--data", tmp_path / "data", "--tolerance", "0.05")
    assert (ran.code, ran.out) == (2, "")
    said = {"nothing": "no calibration data", "nan": "NaN", "wrong shape": "63"}
    assert said[what] in ran.err
    assert not path.exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--metric", "size"], "unknown metric"),
        (["--tolerance", "0"], "not above 0"),
        (["--budget", "0"], "too small"),
        (["--target", "nothing"], "unknown backend"),
        (["--data", "somewhere"], "not tried without a tolerance"),
    ],
)
def test_wrong_use_is_told(cli: RunCli, options: list[str], said: str) -> None:
    ran = cli("tune", SOURCE, *options)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_source_that_is_missing_is_told(cli: RunCli) -> None:
    assert cli("tune", "nowhere.py").code == 2


def test_tolerance_opens_the_lower_precisions() -> None:
    from modelport.tuning.candidates import base_plans

    exact = {str(plan.target) for plan in base_plans([], lossy=False)}
    lossy = {str(plan.target) for plan in base_plans([], lossy=True)}
    assert {"onnxruntime:cpu:fp32", "openvino:cpu:fp32", "torch:cpu:compile:fp32"} <= exact
    assert not [name for name in exact if not name.endswith(":fp32")]
    assert {"onnxruntime:cpu:bf16", "openvino:cpu:bf16"} <= lossy
    calibrated = {str(plan.target) for plan in base_plans([], lossy=True, calibrated=True)}
    assert {"onnxruntime:cpu:int8", "openvino:cpu:int8"} <= calibrated - lossy


def test_a_worker_loads_no_pytorch() -> None:
    program = textwrap.dedent(
        """
        import sys
        import modelport.tuning.worker
        print("torch" in sys.modules)
        """
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_usage_error_of_a_dimension_outside() -> None:
    with pytest.raises(UsageError, match="unknown metric"):
        modelport.tune(recipe(), metric="haste")
