"""fp16 and bf16 all the way: from PyTorch to a verified bundle."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import modelport
from tests.conftest import RunCli
from tests.support import block_recipe


@pytest.mark.parametrize(("precision", "dtype"), [("fp16", "float16"), ("bf16", "bfloat16")])
def test_targets_have_graphs_of_their_own(tmp_path: Path, precision: str, dtype: str) -> None:
    target = f"onnxruntime:{precision}"
    result = modelport.deploy(block_recipe(), tmp_path / "b.port", targets=["onnxruntime", target])
    half = result.verifications[modelport.Target.parse(target)]
    full = result.verifications[modelport.Target.parse("onnxruntime")]
    assert half.ok
    assert half.worst is not None
    assert full.worst is not None
    assert half.worst.max_rel > 10 * full.worst.max_rel
    assert all(item.ok for item in modelport.verify(tmp_path / "b.port").values())
    graph = onnx.load(tmp_path / "b.port" / "graphs" / f"onnxruntime-cpu-{precision}.onnx")
    kinds = {
        onnx.helper.tensor_dtype_to_np_dtype(item.data_type).name
        for item in graph.graph.initializer
    }
    assert kinds == {dtype}


def test_command(cli: RunCli, recipe_file: Path, tmp_path: Path) -> None:
    ran = cli("deploy", recipe_file, "-o", tmp_path / "t.port", "--target", "onnxruntime:fp16")
    assert ran.code == 0, ran.err
    assert "onnxruntime:cpu:fp16: agrees with the reference" in ran.out
