"""Which nodes draw random numbers: what ONNX Runtime computes differently twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir
import onnxruntime
import pytest

import modelport
from modelport import UsageError
from modelport.ir.random_operators import RANDOM_OPERATORS, draws
from tests.passes.support import simplified
from tests.support import onnx_text

NODES = {
    "RandomNormal": "y = RandomNormal<shape = [64]>()",
    "RandomNormalLike": "y = RandomNormalLike(x)",
    "RandomUniform": "y = RandomUniform<shape = [64]>()",
    "RandomUniformLike": "y = RandomUniformLike(x)",
    "Bernoulli": "y = Bernoulli(x)",
    "Multinomial": "s = Constant<value_ints = [1, 64]>() p = Reshape(x, s) "
    "i = Multinomial<sample_size = 64>(p) v = Constant<value_ints = [64]>() "
    "j = Reshape(i, v) y = Cast<to = 1>(j)",
}
DROPOUTS = {
    "dropout": ("y = Dropout(x)", False),
    "dropout-off": ("r = Constant<value_float = 0.5>() y = Dropout(x, r, f)", False),
    "dropout-on": ("r = Constant<value_float = 0.5>() y = Dropout(x, r, t)", True),
}
HEAD = "g (float[64] x) => (float[64] y) <bool t = {1}, bool f = {0}> "


def graph(tmp_path: Path, body: str) -> Path:
    return onnx_text(tmp_path / "m.onnx", f"{HEAD}{{ {body} }}")


def differs(path: Path) -> bool:
    """Whether ONNX Runtime computes something else in one of several runs."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = {"x": np.linspace(0.1, 0.9, 64, dtype=np.float32)}
    first, *others = (session.run(None, inputs)[0] for _ in range(4))
    return any(not np.array_equal(first, other) for other in others)


def test_every_operator_of_the_set_is_tried() -> None:
    assert set(NODES) == RANDOM_OPERATORS


@pytest.mark.parametrize("body", NODES.values(), ids=NODES)
def test_random_operator_draws(body: str, tmp_path: Path) -> None:
    path = graph(tmp_path, body)
    assert differs(path)
    assert any(map(draws, onnx_ir.load(path).graph))


@pytest.mark.parametrize(("body", "random"), DROPOUTS.values(), ids=DROPOUTS)
def test_dropout_draws_in_training_mode_alone(body: str, random: bool, tmp_path: Path) -> None:
    path = graph(tmp_path, body)
    assert differs(path) is random
    assert any(map(draws, onnx_ir.load(path).graph)) is random


def test_operator_of_another_domain_does_not_draw() -> None:
    assert not draws(onnx_ir.node("Bernoulli", [], domain="mine"))


def test_dropout_in_training_mode_is_neither_folded_nor_shared_nor_compared(
    tmp_path: Path,
) -> None:
    body = f"""{HEAD} {{
        o = Constant<value_floats = [{", ".join(["1.0"] * 64)}]>()
        r = Constant<value_float = 0.5>()
        a = Dropout(o, r, t)
        b = Dropout(o, r, t)
        c = Sub(a, b)
        y = Add(x, c)
    }}"""
    assert simplified(tmp_path, body, check=False).after == {"Dropout": 2, "Sub": 1, "Add": 1}
    with pytest.raises(UsageError, match="random numbers"):
        modelport.simplify(tmp_path / "before.onnx")
