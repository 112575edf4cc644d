"""Translations, for ``custom_translation_table``, that put torch's own ones right."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any


def shipped_translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Translations of what cannot be replaced while the model runs.

    ``a // b`` of sizes is Python's floor; torch writes ONNX's Div, which cuts towards zero, so
    that the usual ceiling ``-(-n // 32)`` is one too small, with no warning. (The function
    rewrites do the same for the tracer.)

    Returns:
        A table for ``custom_translation_table``; entries of the user's go on top of it.
    """
    return {operator.floordiv: _floor_divide}


def _floor_divide(dividend: Any, divisor: Any) -> Any:
    from onnxscript import opset18 as op

    quotient = op.Div(dividend, divisor)
    remainder = op.Sub(dividend, op.Mul(quotient, divisor))
    # The quotient was cut the wrong way where the remainder's sign is not the divisor's.
    other_sign = op.Less(op.Mul(op.Sign(remainder), op.Sign(divisor)), 0)
    return op.Sub(quotient, op.CastLike(other_sign, quotient))
