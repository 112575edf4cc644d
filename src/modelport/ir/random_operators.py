"""Operators that draw random numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelport.ir.constants import constant
from modelport.ir.domains import is_onnx
from modelport.ir.values import input_of

if TYPE_CHECKING:
    import onnx_ir

RANDOM_OPERATORS = frozenset(
    {
        *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
        *("Bernoulli", "Multinomial"),
    }
)
"""Operators of the default domain that draw in every run."""


def draws(node: onnx_ir.Node) -> bool:
    """Return True if a node draws random numbers, so that two runs of it may differ.

    A `Dropout` draws in training mode alone: where its third input is not known to be false, or
    where the attribute `is_test` of the first opsets is 0.
    """
    if is_onnx(node, "Dropout"):
        training = input_of(node, 2)
        if training is None:
            return node.attributes.get_int("is_test", 1) == 0
        flag = constant(training)
        return flag is None or bool(flag.any())
    return is_onnx(node, *RANDOM_OPERATORS)
