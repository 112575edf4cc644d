"""``modelport quantize``: files, tables, and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.conftest import RunCli
from tests.precision.nets import pictures, residual


@pytest.fixture
def model(tmp_path: Path) -> Path:
    np.savez(tmp_path / "data.npz", x=np.concatenate([case["x"] for case in pictures(10)]))
    return residual()[1].save(tmp_path / "m.onnx")


def test_table_is_written_and_read(cli: RunCli, model: Path, tmp_path: Path) -> None:
    data, table, output = tmp_path / "data.npz", tmp_path / "t.json", tmp_path / "q.onnx"
    first = ("quantize", model, "--int8", "--data", data, "--max-drop", 0.05, "-o", output)
    ran = cli(*first, "--save-table", table, "--keep", "Gemm")
    assert ran.code == 0, ran.err
    assert "4 of 4 operators in int8" in ran.out
    assert "x" in json.loads(table.read_text())["ranges"]
    again = cli(*first, "--table", table, "--json")
    assert json.loads(again.out)["cases"] == 8
    assert "QuantizeLinear" in {node.op_type for node in onnx.load(output).graph.node}


def test_without_data(cli: RunCli, model: Path, tmp_path: Path) -> None:
    output = tmp_path / "h.onnx"
    ran = cli("quantize", model, "--fp16", "-o", output)
    assert ran.code == 0, ran.err
    ran = cli("quantize", model, "--int8", "-o", tmp_path / "q.onnx")
    assert ran.code == 2
    assert "without data to calibrate on" in ran.err


def test_an_impossible_bound_writes_nothing(cli: RunCli, model: Path, tmp_path: Path) -> None:
    output = tmp_path / "q.onnx"
    data = tmp_path / "data.npz"
    ran = cli("quantize", model, "--int8", "--data", data, "--max-drop", -1, "-o", output)
    assert ran.code == 1
    assert "the best that was reached is" in ran.err
    assert not output.exists()
