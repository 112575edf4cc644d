"""Adapters: the public form stays the model's, whatever an engine takes and gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import modelport
from modelport import BuildError, Engine, RunError, Target
from modelport.backends import open_engine
from modelport.backends.adapters import (
    FixedPoint,
    Trim,
    adapters_from_json,
    adapters_of,
    adapters_to_json,
    add_adapters,
    shape_values,
    with_adapters,
)
from modelport.backends.base import Artifact
from tests.support import onnx_text

ORT = Target("onnxruntime")
SCALES = FixedPoint("s", "float32", 30, ((1.0, 1.0), (1.0, 2.0), (1.0, 4.0)))
ROWS = Trim("y", 1, "n")

Open = Callable[[str, list[FixedPoint | Trim]], Engine]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    def load(body: str, adapters: list[FixedPoint | Trim]) -> Engine:
        path = onnx_text(tmp_path / "m.onnx", body)
        return open_engine(tmp_path, with_adapters(Artifact(path.name), adapters), ORT)

    return load


def test_float32_is_kept_exactly() -> None:
    rng = np.random.default_rng(0)
    numbers = (2.0 ** rng.uniform(-6.9, 12, 1000)).astype(np.float32)
    integers = SCALES.adapted(np.concatenate([numbers, -numbers]))
    assert integers.dtype == np.int64
    back = integers.astype(np.float32) * np.float32(2.0**-30)
    np.testing.assert_array_equal(back, np.concatenate([numbers, -numbers]))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2.0**33])
def test_what_has_no_fixed_point_is_refused(value: float) -> None:
    with pytest.raises(RunError, match="'s' has a value that is not finite or too large"):
        SCALES.adapted(np.array([1, value], np.float32))


FIXED = "g (int64[2] s, float[2] x) => (float[2] y) { f = Cast<to = 1>(s) y = Mul(f, x) }"


def test_an_input_is_adapted(opened: Open) -> None:
    engine = opened(FIXED, [SCALES])
    assert [str(spec) for spec in engine.signature.inputs] == ["s: float32[2]", "x: float32[2]"]
    x = np.array([2.0**-30, 3 * 2.0**-30], np.float32)
    given = {"s": np.array([1.5, 0.25], np.float32), "x": x}
    np.testing.assert_array_equal(engine.run(given)["y"], [1.5, 0.75])
    with pytest.raises(RunError, match="dtype"):
        engine.run({**given, "s": np.array([1, 2])})
    with pytest.raises(RunError, match="no output 'z'"):
        engine.run(given, ["z"])


def test_a_bound_input_is_adapted_in_every_run(opened: Open) -> None:
    engine = opened(FIXED, [SCALES])
    scales = np.array([1.5, 0.25], np.float32)
    binding = engine.bind({"s": scales, "x": np.full(2, 2.0**-30, np.float32)})
    np.testing.assert_array_equal(binding.run()["y"], [1.5, 0.25])
    scales[:] = [7, 9]
    np.testing.assert_array_equal(binding.run()["y"], [7, 9])


TRIMMED = (
    "g (float[2,4] x, int64[1] k) => (float[2,4] y, float[2,4] z, int64[1] n) "
    "{ y = Exp(x) z = Neg(x) n = Identity(k) }"
)


def test_an_output_is_trimmed(opened: Open) -> None:
    engine = opened(TRIMMED, [ROWS])
    assert [spec.name for spec in engine.signature.outputs] == ["y", "z"]
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    for count in (0, 3, 4):
        outputs = engine.run({"x": x, "k": np.array([count])})
        assert list(outputs) == ["y", "z"]
        np.testing.assert_allclose(outputs["y"], np.exp(x[:, :count]), rtol=1e-6)
        assert outputs["y"].flags["C_CONTIGUOUS"]
        np.testing.assert_array_equal(outputs["z"], -x)
    only = engine.run({"x": x, "k": np.array([1])}, ["z"])
    assert list(only) == ["z"]
    with pytest.raises(RunError, match="known only after a run"):
        engine.bind({"x": x, "k": np.array([1])})


def test_adapters_are_plain_data(tmp_path: Path) -> None:
    data = json.loads(json.dumps(adapters_to_json([SCALES, ROWS])))
    first, second = adapters_from_json(data)
    assert (first.tensor, second) == ("s", ROWS)
    assert isinstance(first, FixedPoint)
    assert [list(item) for item in first.values] == [list(item) for item in SCALES.values]


def test_a_graph_keeps_them_in_its_file(tmp_path: Path) -> None:
    model = modelport.Model.load(onnx_text(tmp_path / "m.onnx", FIXED))
    assert adapters_of(model.ir) == []
    add_adapters(model.ir, [SCALES])
    add_adapters(model.ir, [ROWS])
    again = modelport.Model.load(model.save(tmp_path / "n.onnx"))
    assert [item.tensor for item in adapters_of(again.ir)] == ["s", "y"]


@pytest.mark.parametrize("data", [[{"kind": "rotate"}], [{"kind": "trim"}], ["trim"]])
def test_an_unknown_adapter_is_refused(data: list[object]) -> None:
    with pytest.raises(BuildError, match="unknown adapter"):
        adapters_from_json(data)


def test_values_are_given_as_the_model_takes_them() -> None:
    assert shape_values([SCALES, ROWS], {"k": ((1,), (2,), (3,))}) == {
        "k": [[1], [2], [3]],
        "s": [[1 << 30, 1 << 30], [1 << 30, 2 << 30], [1 << 30, 4 << 30]],
    }
    given = shape_values([SCALES], {"s": ((0.5, 0.5), (1, 1), (2, 2))})
    assert given["s"][0] == [1 << 29, 1 << 29]
