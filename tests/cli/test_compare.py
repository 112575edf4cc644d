from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import Ran, onnx_text

RunCli = Callable[..., Ran]
DOUBLE = "g (float[N, 3] x) => (float[N, 3] y) { y = Add(x, x) }"
DAMAGED = """g (float[N, 3] x) => (float[N, 3] y) {
    a = Sin(x) k = Constant<value = float[3] {1.0, 2.0, 3.0}>() b = Add(a, k) y = Mul(b, x)
}"""
SQUARE = "g (float[N, 3] x) => (float[N, 3] y) { y = Mul(x, x) }"


@pytest.fixture
def double(tmp_path: Path) -> Path:
    return onnx_text(tmp_path / "double.onnx", DOUBLE)


@pytest.fixture
def square(tmp_path: Path) -> Path:
    return onnx_text(tmp_path / "square.onnx", SQUARE)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_models_that_agree_exit_with_0(cli: RunCli, double: Path, tmp_path: Path) -> None:
    ran = cli("compare", double, double, "--cases", 3)
    assert ran.code == 0
    assert "they agree on 3 cases" in ran.out
    assert "drawn-2" in ran.out
    # Nothing is left behind where nothing failed.
    assert [path.name for path in tmp_path.iterdir()] == ["double.onnx"]


def test_models_that_differ_exit_with_1_and_say_how_to_see_it_again(
    cli: RunCli, double: Path, square: Path
) -> None:
    ran = cli("compare", double, square, "--seed", 4)
    assert ran.code == 1
    assert "they DIFFER on 5 cases" in ran.out
    assert "seed 4" in ran.out
    command = ran.out.strip().splitlines()[-1].partition("again: ")[2]
    assert Path(shlex.split(command)[-1]).is_file()
    again = cli(*shlex.split(command)[1:])
    assert again.code == 1
    assert "they DIFFER on 1 cases" in again.out


def test_json_has_everything(cli: RunCli, double: Path, square: Path) -> None:
    ran = cli("compare", double, square, "--cases", 1, "--json")
    data = json.loads(ran.out)
    assert ran.code == 1
    assert data["ok"] is False
    (case,) = data["cases"]
    (output,) = case["outputs"]
    assert output["measures"]["absolute"]["max"] > 0
    assert output["tolerance"]["source"] == "float32 arithmetic"
    assert Path(case["saved"]).is_file()


def test_the_report_is_one_page_without_references(
    cli: RunCli, double: Path, square: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    assert cli("compare", double, square, "--report", page).code == 1
    text = page.read_text(encoding="utf-8")
    assert "They differ on 5 cases" in text
    assert "http" not in text
    assert text.count("data:image/png;base64,") == 5
    assert cli("compare", double, "--report", tmp_path / "no" / "page.html").code == 2


def test_a_metric_of_ones_own(cli: RunCli, double: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def largest(expected, actual):\n    return actual.max()\n"
        "def never(expected, actual):\n    return False\n"
    )
    ran = cli("compare", double, "--metric", "mine.py:largest", "--cases", 1)
    assert ran.code == 0
    assert "largest = " in ran.out
    assert cli("compare", double, "--metric", "mine.py:never").code == 1
    assert cli("compare", double, "--metric", "mine.py").code == 2
    assert cli("compare", double, "--metric", "mine.py:nothing").code == 2


@pytest.mark.parametrize(
    "options",
    [
        ["--cases", "0"],
        ["--cases", "-1"],
        ["--cases", "nowhere.npz"],
        ["--cases", "nowhere"],
        ["--cases", "."],
        ["--target", "a,b,c"],
        ["--target", "nothing"],
        ["--rtol", "-1"],
        ["other.onnx"],
    ],
)
def test_wrong_use_exits_with_2(cli: RunCli, double: Path, options: list[str]) -> None:
    ran = cli("compare", double, *options)
    assert ran.code == 2
    assert "error" in ran.err
    assert "Traceback" not in ran.err


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(command=st.sampled_from(["compare", "bisect"]), data=st.data())
def test_damaged_files_are_refused(
    cli: RunCli, tmp_path: Path, command: str, data: st.DataObject
) -> None:
    """Any byte of a model or a case may be wrong: an exit code, never a traceback."""
    double = onnx_text(tmp_path / "good.onnx", DAMAGED)
    case = tmp_path / "case.npz"
    np.savez(case, x=np.ones((2, 3), np.float32))
    bad_model, bad_case = tmp_path / "bad.onnx", tmp_path / "bad.npz"
    for source, target in ((double, bad_model), (case, bad_case)):
        content = bytearray(source.read_bytes())
        for _ in range(data.draw(st.integers(0, 3))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        target.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    keep = "--failures" if command == "compare" else "--save"
    for arguments in ((bad_model, double), (double, bad_model), (double, "--cases", bad_case)):
        ran = cli(command, *arguments, keep, tmp_path / "kept")
        assert ran.code in (0, 1, 2)
        assert ran.code == 0 or ran.out or ran.err
