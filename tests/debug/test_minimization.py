from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport import ProofError, UsageError, compare, shrink
from modelport.debug.minimization import ddmin
from tests.support import onnx_text

LONG = """g (float[N, 8] x) => (float[N, 8] y) {{
    a = Sin(x) b = Cos(a) c = {wrong}(b) d = Exp(c) e = Sub(d, a) f = Mul(e, b) y = Tanh(f)
}}"""
CASES = [{"x": np.linspace(-1, 1, 16, dtype=np.float32).reshape(2, 8)}]
OUT_OF_RANGE = """g (float[N, 8] x, int64[1] i) => (float[1, 8] y) {
    a = Sin(x) b = Gather<axis = 0>(a, i) c = Neg(b) y = Tanh(c)
}"""


@given(st.sets(st.integers(0, 40), min_size=1, max_size=4), st.integers(41, 60))
def test_ddmin_keeps_exactly_what_is_needed(needed: set[int], count: int) -> None:
    def fails(items: list[int]) -> bool:
        assert items == sorted(items)
        return needed <= set(items)

    assert ddmin(list(range(count)), fails) == sorted(needed)


def test_a_wrong_result_comes_down_to_its_node(tmp_path: Path) -> None:
    right = onnx_text(tmp_path / "right.onnx", LONG.format(wrong="Abs"))
    wrong = onnx_text(tmp_path / "wrong.onnx", LONG.format(wrong="Neg"))
    result = shrink(right, wrong, cases=CASES, save=tmp_path / "small")
    assert [node.op_type for node in onnx.load(result.model).graph.node] == ["Neg"]
    assert result.before == 7
    assert not compare(result.model, cases=result.case).ok
    assert shlex.split(result.rerun)[:2] == ["modelport", "compare"]


def test_what_does_not_fail_is_not_shrunk(tmp_path: Path) -> None:
    right = onnx_text(tmp_path / "right.onnx", LONG.format(wrong="Abs"))
    with pytest.raises(ProofError, match="does not fail"):
        shrink(right, right, cases=CASES, save=tmp_path / "small")
    assert not (tmp_path / "small").exists()


@pytest.mark.slow
def test_a_backend_that_fails_in_a_child_process(tmp_path: Path) -> None:
    path = onnx_text(tmp_path / "m.onnx", OUT_OF_RANGE)
    cases = [{"x": CASES[0]["x"], "i": np.array([7])}]
    result = shrink(path, by="crash", cases=cases, save=tmp_path / "small")
    assert [node.op_type for node in onnx.load(result.model).graph.node] == ["Gather"]
    words = shlex.split(result.rerun)
    done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "out of data bounds" in done.stderr


@pytest.mark.slow
def test_a_process_that_dies_of_a_signal(tmp_path: Path) -> None:
    path = onnx_text(tmp_path / "m.onnx", LONG.format(wrong="Neg"))
    python = shlex.quote(sys.executable)
    code = (
        "import os, sys, onnx; kinds = [n.op_type for n in onnx.load(sys.argv[1]).graph.node];"
        "'Exp' in kinds and 'Neg' in kinds and os.kill(os.getpid(), 11); sys.exit('Sin' in kinds)"
    )
    command = f"{python} -c {shlex.quote(code)} {{model}} {{case}}"
    result = shrink(path, by=command, cases=CASES, save=tmp_path / "small")
    # Another exit code (1, for Sin alone) is another failure.
    assert [node.op_type for node in onnx.load(result.model).graph.node] == ["Neg", "Exp"]
    assert str(result.model) in result.rerun


def test_a_function_of_ones_own(tmp_path: Path) -> None:
    path = onnx_text(tmp_path / "m.onnx", LONG.format(wrong="Neg"))

    def fails(model: Path, case: Path) -> bool:
        assert np.load(case).files
        return "Sub" in [node.op_type for node in onnx.load(model).graph.node]

    result = shrink(path, by=fails, cases=CASES, save=tmp_path / "small")
    assert result.nodes
    given = np.load(result.case)
    x = CASES[0]["x"]
    wanted = {"input:d": np.exp(-np.cos(np.sin(x))), "input:a": np.sin(x)}
    assert set(given.files) == set(wanted)
    for name, array in wanted.items():
        np.testing.assert_allclose(given[name], array, rtol=1e-5, atol=1e-6)


def test_a_command_without_the_model(tmp_path: Path) -> None:
    path = onnx_text(tmp_path / "m.onnx", LONG.format(wrong="Neg"))
    with pytest.raises(UsageError, match=r"no \{model\}"):
        shrink(path, by="false", cases=CASES, save=tmp_path / "small")
