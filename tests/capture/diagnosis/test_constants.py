"""What a graph computes from constants alone, in graphs that are deep."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from modelport.capture.diagnosis.constants import constant_of

DEPTH = 3000
"""Above Python's limit of recursion; doubled at every step it would never end."""


def doubled(start: ir.Value) -> ir.Value:
    value = start
    for _ in range(DEPTH):
        value = ir.node("Add", [value, value]).outputs[0]
    return value


def test_a_deep_residual_sum_of_an_input_is_no_constant() -> None:
    start = ir.val("x", ir.DataType.FLOAT, [2])
    assert constant_of(doubled(start)) is None


def test_a_deep_sum_of_constants_is_their_sum() -> None:
    start = ir.val("c", const_value=ir.tensor(np.zeros(2, np.int64), name="c"))
    assert constant_of(doubled(start)).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("op", "expected"), [("Add", [5, 7]), ("Sub", [-1, -1]), ("Mul", [6, 12]), ("Equal", [0, 0])]
)
def test_arithmetic_is_folded(op: str, expected: list[int]) -> None:
    operands = [
        ir.val(name, const_value=ir.tensor(np.array(numbers), name=name))
        for name, numbers in (("a", [2, 3]), ("b", [3, 4]))
    ]
    assert constant_of(ir.node(op, operands).outputs[0]).tolist() == expected


def test_an_operator_that_is_not_arithmetic_is_no_constant() -> None:
    start = ir.val("c", const_value=ir.tensor(np.zeros(2, np.int64), name="c"))
    assert constant_of(ir.node("Sin", [start]).outputs[0]) is None
    assert constant_of(None) is None
