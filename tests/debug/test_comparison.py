from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import modelport
from modelport import ProofError, UsageError, compare
from modelport.numerics import read_case
from tests.support import Block, block_recipe, onnx_text

DOUBLE = (
    "g (float[N, 3] x) => (float[N, 3] y) { two = Constant<value = float {2.0}>() y = Mul(x, two) }"
)
SUM = "g (float[N, 3] x) => (float[N, 3] y) { y = Add(x, x) }"
RENAMED = "g (float[N, 3] a) => (float[N, 3] b) { b = Add(a, a) }"
SLIGHTLY = (
    "g (float[N, 3] x) => (float[N, 3] y)"
    "{ two = Constant<value = float {2.002}>() y = Mul(x, two) }"
)
HALF = "g (float[N, 3] x) => (float16[N, 3] y){ h = Cast<to = 10>(x) y = Add(h, h) }"
X = np.arange(6, dtype=np.float32).reshape(2, 3)

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(body: str) -> Path:
        return onnx_text(tmp_path / f"{abs(hash(body))}.onnx", body)

    return write


@pytest.mark.parametrize("other", [SUM, RENAMED, HALF])
def test_what_computes_the_same_agrees(write: Write, other: str) -> None:
    result = compare(write(DOUBLE), write(other))
    assert result.ok
    assert len(result.cases) == 5
    shapes = {case.case.inputs["x"].shape for case in result.cases}
    assert (1, 3) in shapes
    assert len(shapes) > 2


def test_half_precision_is_judged_as_such(write: Write) -> None:
    output = compare(write(DOUBLE), write(HALF), cases=[{"x": X}]).cases[0].outputs[0]
    assert output.tolerance.source.startswith("float16")


def test_a_difference_is_measured(write: Write, tmp_path: Path) -> None:
    result = compare(write(DOUBLE), write(SLIGHTLY), cases=[{"x": X}], failures=tmp_path / "f")
    output = result.cases[0].outputs[0]
    assert not result.ok
    assert output.measures is not None
    assert output.measures.absolute.max == pytest.approx(0.01, rel=1e-3)
    assert output.verdict.rms_rel == pytest.approx(1e-3, rel=1e-3)
    case, recorded = read_case(Path(result.cases[0].saved))
    np.testing.assert_array_equal(case.inputs["x"], X)
    np.testing.assert_array_equal(recorded["y"], 2 * X)


def test_a_wider_tolerance_may_be_given(write: Write) -> None:
    assert compare(write(DOUBLE), write(SLIGHTLY), rtol=0.01).ok
    assert not compare(write(DOUBLE), write(SLIGHTLY), rtol=1e-4).ok
    assert not compare(write(DOUBLE), write(SLIGHTLY), rtol=0.0).ok
    assert compare(write(DOUBLE), write(DOUBLE), rtol=0.0).ok
    with pytest.raises(UsageError, match="from 0 up"):
        compare(write(DOUBLE), write(SLIGHTLY), rtol=-1.0)


def test_metrics_of_ones_own(write: Write) -> None:
    metrics: dict[str, Any] = {
        "largest": lambda expected, actual: actual.max(),
        "close": lambda expected, actual: np.allclose(expected, actual, rtol=1e-6),
    }
    result = compare(write(DOUBLE), write(SLIGHTLY), cases=[{"x": X}], metrics=metrics, rtol=0.1)
    output = result.cases[0].outputs[0]
    assert output.verdict.ok
    assert not result.ok
    assert output.metrics == {"largest": pytest.approx(10.01, rel=1e-5), "close": False}
    with pytest.raises(UsageError, match="the metric 'bad' failed: IndexError"):
        compare(write(SUM), metrics={"bad": lambda expected, actual: [][1]})


def test_one_model_without_optimizations_and_with_them() -> None:
    result = compare(modelport.export(block_recipe(), probes=False), cases=2)
    assert result.ok
    assert "without graph optimizations" in result.reference
    assert "without graph optimizations" not in result.candidate


def test_a_pytorch_model_runs_in_pytorch_on_its_own_cases_first(tmp_path: Path) -> None:
    path = modelport.export(block_recipe(), probes=False).save(tmp_path / "block.onnx")
    result = compare(block_recipe(), path, cases=3)
    assert result.ok
    assert "PyTorch" in result.reference
    assert [case.case.name for case in result.cases][:2] == ["example", "drawn-0"]
    other = block_recipe(model=Block(seed=1))
    assert not compare(other, path, cases=1).ok


def test_a_pytorch_model_is_exported_where_it_is_the_candidate() -> None:
    result = compare(block_recipe(), cases=2)
    assert result.ok
    assert "exported" in result.candidate


def test_two_targets(write: Write) -> None:
    result = compare(write(SUM), targets="onnxruntime,onnxruntime:cpu")
    assert result.ok
    assert "without" not in result.reference + result.candidate
    with pytest.raises(UsageError, match="3 targets"):
        compare(write(SUM), targets="onnxruntime,onnxruntime,onnxruntime")
    with pytest.raises(UsageError, match="unknown backend"):
        compare(write(SUM), targets=["nothing"])


def test_a_bundle_is_compared_by_its_engine(bundle: Path, onnx_file: Path) -> None:
    assert compare(onnx_file, bundle, cases=2).ok
    assert compare(bundle, onnx_file, cases=2).ok


def test_cases_of_a_folder_and_what_was_recorded(write: Write, tmp_path: Path) -> None:
    folder = tmp_path / "cases"
    folder.mkdir()
    np.savez(folder / "plain.npz", x=X)
    result = compare(write(DOUBLE), write(SUM), cases=folder, save_io=tmp_path / "io")
    assert [case.case.name for case in result.cases] == ["plain"]
    kept = np.load(tmp_path / "io" / "plain.npz")
    np.testing.assert_array_equal(kept["candidate:y"], 2 * X)
    # With outputs in it, a case needs no reference.
    assert compare(write(SUM), cases=tmp_path / "io" / "plain.npz").ok
    alone = compare(write(SLIGHTLY), cases=tmp_path / "io")
    assert not alone.ok
    assert alone.reference == "the recorded outputs"


def test_cases_of_a_script(write: Write, tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(
        "import numpy as np\n"
        "def cases(rng):\n"
        "    for rows in (1, 4):\n"
        "        yield {'x': rng.standard_normal((rows, 3)).astype(np.float32)}\n"
        "def other(rng):\n"
        "    yield {'x': np.zeros((0, 3), np.float32)}\n"
    )
    result = compare(write(DOUBLE), write(SUM), cases=str(script), seed=3)
    assert [case.case.inputs["x"].shape for case in result.cases] == [(1, 3), (4, 3)]
    assert "seed 3" in result.cases[0].case.origin
    assert compare(write(DOUBLE), write(SUM), cases=f"{script}:other").ok
    with pytest.raises(UsageError, match="names no function: it has no nothing"):
        compare(write(SUM), cases=f"{script}:nothing")


def test_a_candidate_that_fails_is_a_result(write: Write) -> None:
    only_one = """g (float[N, 3] x) => (float[N, 3] y) {
        s = Constant<value = int64[2] {1, 3}>() r = Reshape(x, s) y = Add(r, r)
    }"""
    result = compare(write(DOUBLE), write(only_one), cases=[{"x": X}])
    assert not result.ok
    assert "Reshape" in result.cases[0].failure


def test_inputs_that_do_not_fit(write: Write) -> None:
    two = "g (float[N, 3] x, float[N, 3] z) => (float[N, 3] y) { y = Add(x, z) }"
    with pytest.raises(UsageError, match="takes inputs that the reference does not have: z"):
        compare(write(SUM), write(two))
    with pytest.raises(modelport.RunError, match="missing: x"):
        compare(write(SUM), cases=[{"wrong": X}])
    with pytest.raises(UsageError, match="0 cases"):
        compare(write(SUM), cases=0)


def test_a_reference_that_refuses_too_much(write: Write) -> None:
    narrow = """g (float[N, 3] x) => (float[N, 3] y) {
        s = Constant<value = int64[2] {77, 3}>() y = Reshape(x, s)
    }"""
    with pytest.raises(ProofError, match="took only 0"):
        compare(write(narrow))


def test_several_outputs_and_strange_dtypes(write: Write) -> None:
    body = (
        "g (float[N, 4] x) => (int64[N] where, bool[N, 4] high, float[N, 4] y)"
        "{ where = ArgMax<axis = 1, keepdims = 0>(x) zero = Constant<value = float {0.0}>()"
        "  high = Greater(x, zero) y = Sqrt(x) }"
    )
    result = compare(write(body), cases=3)
    assert result.ok
    outputs = {output.verdict.output: output for output in result.cases[0].outputs}
    assert list(outputs) == ["where", "high", "y"]
    assert outputs["where"].measures is not None
    assert outputs["where"].measures.ulp is None
    # Roots of negative numbers are NaN on both sides.
    assert outputs["y"].measures is not None
    assert outputs["y"].measures.nan[0] == outputs["y"].measures.nan[1] > 0
    assert json.dumps(result.to_json(), allow_nan=False)


def test_the_classes_of_torch_do_not_matter() -> None:
    class Two(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"up": x + 1, "down": x - 1}

    recipe = modelport.Recipe(Two(), (torch.ones(2, 3),), output_names=["up"])
    result = compare(recipe, cases=1)
    assert [output.verdict.output for output in result.cases[0].outputs] == ["up", "output_1"]
    assert result.ok
