"""Several models as one."""

from __future__ import annotations

import gc
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelport
from modelport import BundleError, RunError, UsageError
from modelport.backends import Engine
from modelport.bundle import join_stages
from modelport.graph import build
from modelport.pipeline import Stage
from modelport.pipeline.stages import StagedEngine
from tests.bundle.mutations import sealed


def graph(op: str, path: Path, factor: float) -> Path:
    """y = x op factor for rows of 3, and how many there are."""
    g = build()
    x = g.input("x", "float32", ["rows", 3])
    g.output(g.op(op, x, g.weight("factor", np.float32(factor))), "y")
    return g.model().save(path)


class Counting(Engine):
    """An engine that remembers how many rows it was given, and waits until it is let."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.signature, engine.target)
        self.engine, self.rows, self.gate = engine, [], threading.Event()
        self.gate.set()

    def run(self, inputs: Any, outputs: Any = None) -> Any:
        self.gate.wait(10)
        self.rows.append(len(inputs["x"]))
        return self.engine.run(inputs, outputs)

    def bind(self, inputs: Any, outputs: Any = None) -> Any:
        return self.engine.bind(inputs, outputs)


@pytest.fixture
def engines(tmp_path: Path) -> dict[str, Counting]:
    return {
        "twice": Counting(modelport.load(graph("Mul", tmp_path / "twice.onnx", 2))),
        "more": Counting(modelport.load(graph("Add", tmp_path / "more.onnx", 1))),
    }


STAGES = [
    Stage("twice", "", {"x": "values"}, batch=4),
    Stage("more", "", {"x": "twice.y"}, batch=4),
]
OUTPUTS = {"sum": "more.y", "product": "twice.y"}


def rows(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)


def test_stages_follow_each_other(engines: dict[str, Counting]) -> None:
    whole = StagedEngine(STAGES, engines, OUTPUTS)
    assert [spec.name for spec in whole.signature.inputs] == ["values"]
    x = rows(11)
    outputs = whole.run({"values": x})
    np.testing.assert_array_equal(outputs["product"], 2 * x)
    np.testing.assert_array_equal(outputs["sum"], 2 * x + 1)
    assert engines["twice"].rows == engines["more"].rows == [4, 4, 3]


def test_nothing_goes_through_without_a_run(engines: dict[str, Counting]) -> None:
    outputs = StagedEngine(STAGES, engines, OUTPUTS).run({"values": rows(0)})
    assert outputs["sum"].shape == (0, 3)
    assert engines["more"].rows == []


def test_calls_that_wait_go_together(engines: dict[str, Counting]) -> None:
    whole = StagedEngine(STAGES, engines, OUTPUTS)
    engines["more"].gate.clear()
    calls = [whole.submit({"values": rows(1, seed)}) for seed in range(9)]
    until = time.monotonic() + 10
    while sum(engines["twice"].rows) < 9 and time.monotonic() < until:
        time.sleep(0.01)
    engines["more"].gate.set()
    for seed, call in enumerate(calls):
        np.testing.assert_array_equal(call.result(10)["sum"], 2 * rows(1, seed) + 1)
    assert sum(engines["more"].rows) == 9
    assert max(engines["more"].rows) == 4


def test_no_result_is_lost_or_swapped(engines: dict[str, Counting]) -> None:
    whole = StagedEngine(STAGES, engines, OUTPUTS)

    def ask(seed: int) -> bool:
        x = rows(seed % 7, seed)
        return np.array_equal(whole.run({"values": x})["sum"], 2 * x + 1)

    with ThreadPoolExecutor(8) as clients:
        assert all(clients.map(ask, range(500)))


def test_a_failure_comes_through_the_future(engines: dict[str, Counting]) -> None:
    whole = StagedEngine(STAGES, engines, OUTPUTS)

    def fail(*_: Any) -> Any:
        raise RunError("broken")

    engines["more"].run = fail  # type: ignore[method-assign]
    with pytest.raises(RunError, match="broken"):
        whole.run({"values": rows(2)})
    # What does not need the broken stage still runs.
    assert whole.run({"values": rows(2)}, ["product"])["product"].shape == (2, 3)


def test_bound_calls(engines: dict[str, Counting]) -> None:
    whole, x = StagedEngine(STAGES, engines, OUTPUTS), rows(2)
    bound = whole.bind({"values": x})
    x[:] = 5
    assert bound.run()["sum"].tolist() == [[11.0] * 3] * 2


@pytest.mark.parametrize(
    ("stages", "outputs", "said"),
    [
        ([Stage("twice", "", {})], OUTPUTS, "gets nothing for its input 'x'"),
        ([Stage("twice", "", {"x": "more.y"})], OUTPUTS, "says 'more.y'"),
        (STAGES, {"a": "more.z"}, "no stage has the output more.z"),
        ([STAGES[0], STAGES[0]], {"a": "twice.y"}, "not a name for a stage"),
    ],
)
def test_what_does_not_fit_is_said(engines: Any, stages: Any, outputs: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        StagedEngine(stages, engines, outputs)


@pytest.mark.parametrize("zipped", [False, True])
def test_one_bundle_holds_all_stages(tmp_path: Path, zipped: bool) -> None:
    stages = []
    for stage, op, factor in zip(STAGES, ("Mul", "Add"), (2, 1), strict=True):
        path = tmp_path / f"{stage.name}.port"
        modelport.deploy(graph(op, tmp_path / f"{stage.name}.onnx", factor), path)
        stages.append(Stage(stage.name, str(path), stage.inputs, stage.batch))
    whole = join_stages(stages, tmp_path / "both.port", outputs=OUTPUTS, zipped=zipped)
    for path in tmp_path.glob("*.onnx"):
        path.unlink()
    x = rows(6)
    np.testing.assert_array_equal(modelport.load(whole).run({"values": x})["sum"], 2 * x + 1)


WRONG: list[tuple[tuple[str | int, ...], object]] = [
    *((("stages", 0, name), None) for name in ("name", "bundle", "inputs", "batch")),
    (("stages", 1, "name"), "twice"),
    (("stages", 1, "bundle"), "../twice.port"),
    (("stages", 1, "inputs"), {"x": 1}),
    (("stages", 1, "inputs", "x"), "more.y"),
    (("stages", 1, "batch"), -1),
    (("outputs",), {}),
    (("outputs", "sum"), ["more.y"]),
    (("outputs", "sum"), "more.z"),
    (("result",), {"labels": ["a"]}),
    (("result",), {"kind": "boxes", "labels": [1], "outputs": {}}),
    (("result",), {"kind": "no", "labels": [], "outputs": {}}),
]


def test_manifests_of_stages_that_cannot_be_are_refused(tmp_path: Path) -> None:
    stages = []
    for stage, op, factor in zip(STAGES, ("Mul", "Add"), (2, 1), strict=True):
        path = tmp_path / f"{stage.name}.port"
        modelport.deploy(graph(op, tmp_path / f"{stage.name}.onnx", factor), path)
        stages.append(Stage(stage.name, str(path), stage.inputs, stage.batch))
    whole = join_stages(stages, tmp_path / "both.port", outputs=OUTPUTS)
    good = (whole / "manifest.json").read_bytes()
    for place, value in WRONG:
        content = json.loads(good)
        inside = content
        for name in place[:-1]:
            inside = inside[name]
        inside[place[-1]] = value
        (whole / "manifest.json").write_bytes(sealed(content))
        with pytest.raises((BundleError, UsageError)):
            modelport.load(whole)
    (whole / "manifest.json").write_bytes(sealed(json.loads(good)))
    modelport.load(whole)


def test_a_closed_engine_says_so(engines: dict[str, Counting]) -> None:
    whole = StagedEngine(STAGES, engines, OUTPUTS)
    engines["twice"].gate.clear()
    between = whole.submit({"values": rows(1)})
    whole.close()
    engines["twice"].gate.set()
    with pytest.raises(RunError, match="was closed"):
        between.result(10)
    with pytest.raises(RunError, match="was closed"):
        whole.run({"values": rows(1)})


def test_a_call_outlives_the_last_reference(engines: dict[str, Counting]) -> None:
    engines["twice"].gate.clear()
    call = StagedEngine(STAGES, engines, OUTPUTS).submit({"values": rows(1)})
    gc.collect()
    engines["twice"].gate.set()
    np.testing.assert_array_equal(call.result(10)["sum"], 2 * rows(1) + 1)
