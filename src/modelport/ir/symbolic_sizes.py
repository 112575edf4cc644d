"""Arithmetic on sizes of which some are names: numbers, and `onnx_ir.SymbolicDim` (sympy)."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir


def as_size(size: int | str) -> int | onnx_ir.SymbolicDim:
    """A size from a number, a name, or arithmetic on names.

    Characters of a name that arithmetic could not read become underscores.
    """
    import onnx_ir

    if isinstance(size, int):
        return size
    try:
        # onnx_ir reads the text when it first computes with it.
        return onnx_ir.SymbolicDim(size).simplify()
    except ValueError:
        return onnx_ir.SymbolicDim(re.sub(r"\W|^(?=\d)", "_", size))


def product(sizes: Iterable[int | str]) -> int | str:
    """The product of sizes: a number, or text such as ``1728*batch``."""
    return _as_text(functools.reduce(operator.mul, map(as_size, sizes), 1))


def total(sizes: Iterable[int | str]) -> int | str:
    """The sum of sizes: a number, or text such as ``1728*batch + 12``."""
    return _as_text(functools.reduce(operator.add, map(as_size, sizes), 0))


def _as_text(size: int | onnx_ir.SymbolicDim) -> int | str:
    if isinstance(size, int):
        return size
    text = str(size.simplify().value)
    return int(text) if text.lstrip("-").isdigit() else text
