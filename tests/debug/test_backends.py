"""One model on two backends: compared, and bisected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import modelport
from tests.support import onnx_text

TARGETS = "onnxruntime,openvino"

CHAIN = """
g (float[N, 4] x, float[4, 4] w) => (float[N, 4] y) {
    a = MatMul(x, w)
    b = Relu(a)
    c = Softmax<axis = 1>(b)
    y = Exp(c)
}
"""

WIDE = """
g (int64[N] x, int64 k) => (float[N] y) {
    a = Mul(x, k)
    b = Mul(a, k)
    c = Cast<to = 1>(b)
    y = Relu(c)
}
"""
"""OpenVINO computes int64 in int32: the second product is beyond it."""


def test_two_backends_agree(tmp_path: Path) -> None:
    path = onnx_text(tmp_path / "chain.onnx", CHAIN)
    result = modelport.compare(path, targets=TARGETS)
    assert result.ok
    assert result.reference.endswith("onnxruntime:cpu:fp32")
    assert result.candidate.endswith("openvino:cpu:fp32")
    assert modelport.bisect(path, targets=TARGETS).ok


def test_node_at_which_two_backends_part_is_found(tmp_path: Path) -> None:
    path = onnx_text(tmp_path / "wide.onnx", WIDE)
    cases = [{"x": np.array([1, 2, 3]), "k": np.asarray(100_000)}]
    assert not modelport.compare(path, targets=TARGETS, cases=cases).ok
    found = modelport.bisect(path, targets=TARGETS, cases=cases, save=tmp_path / "culprit")
    assert found.culprit is not None
    assert found.culprit.operator == "Mul"
    assert found.culprit.tensor == "b"
    small, case = tmp_path / "culprit" / "candidate.onnx", tmp_path / "culprit" / "case.npz"
    again = modelport.compare(small, targets="openvino", cases=str(case))
    assert not again.ok


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet50", "tagger", "vit-s16", "unet", "decoder"])
def test_architectures_agree_on_two_backends(name: str, tmp_path: Path) -> None:
    from tests.export.test_architectures import ARCHITECTURES

    case = ARCHITECTURES[name]
    model = case.build()
    recipe = modelport.Recipe(model, case.inputs(model, *case.example), dynamic=case.dynamic)
    result = modelport.deploy(recipe, tmp_path / "b.port", targets=["openvino"])
    (verification,) = result.verifications.values()
    assert verification.ok
    assert len(verification.cases) >= 5
