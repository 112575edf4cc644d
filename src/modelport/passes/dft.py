"""Fourier transforms: products with the matrix of the transform, and convolutions with it.

(A. V. Oppenheim, R. W. Schafer, Discrete-Time Signal Processing, 3rd ed., 8.5 and 10.3.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from modelport.arrays import Array
from modelport.ir.constants import constant
from modelport.ir.values import input_of, rank
from modelport.passes.expand import Expansion, Writer

_TURN = 2 * math.pi
FLOATS = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.DOUBLE)


class ExpandFourier(Expansion):
    """`DFT` along one axis, of its whole length.

    It takes time in proportion to the square of the length. With a length given beside the input,
    and the inverse of half a spectrum, it stays.
    """

    operators = ("DFT",)
    lacking = "the Fourier transform"
    instead = "products with its matrix"

    def expand(self, node: ir.Node, write: Writer) -> Sequence[ir.Value | None] | None:
        """Writes the products."""
        x, count, axis = node.inputs[0], rank(node.inputs[0]), _axis(node, write.opset)
        inverse = bool(node.attributes.get_int("inverse", 0))
        onesided = bool(node.attributes.get_int("onesided", 0))
        if x is None or x.shape is None or count is None or axis is None or x.dtype not in FLOATS:
            return None
        parts = x.shape[-1]
        if input_of(node, 1) is not None or parts not in (1, 2) or (inverse and onesided):
            return None
        axis, last = axis % count, count - 2
        order = [*range(count - 1)]
        order[axis], order[last] = last, axis
        real, *imaginary = (
            write("Transpose", write("Gather", x, np.asarray(part, np.int64), axis=-1), perm=order)
            for part in ((0, 1) if parts == 2 else (0,))
        )
        length, cosines, sines = _matrix(write, x, axis, onesided)
        if inverse:
            sines = write("Neg", sines)
        result = [write("MatMul", real, cosines), write("Neg", write("MatMul", real, sines))]
        if imaginary:
            result[0] = write("Add", result[0], write("MatMul", imaginary[0], sines))
            result[1] = write("Add", result[1], write("MatMul", imaginary[0], cosines))
        if inverse:
            result = [write("Div", part, write("CastLike", length, x)) for part in result]
        turned = [write("Transpose", part, perm=order) for part in result]
        return [write("Concat", *(write("Unsqueeze", part, [-1]) for part in turned), axis=-1)]


def _axis(node: ir.Node, opset: int) -> int | None:
    """The axis of a transform, where it is known."""
    if opset < 20:
        return node.attributes.get_int("axis", 1)
    given = input_of(node, 2)
    if given is None:
        return -2
    array = constant(given)
    return None if array is None else int(array)


def _matrix(write: Writer, x: ir.Value, axis: int, onesided: bool) -> tuple[Any, Any, Any]:
    """The length of an axis, and cosines and sines of the transform, [length, frequencies]."""
    assert x.shape is not None
    assert x.dtype is not None
    size = x.shape[axis]
    if isinstance(size, int):
        angles = wave_angles(size, size // 2 + 1 if onesided else size)
        dtype = x.dtype.numpy()
        length = write.constant(np.asarray(size, np.int64))
        cosines, sines = (wave(angles).astype(dtype) for wave in (np.cos, np.sin))
        return length, write.constant(cosines), write.constant(sines)
    length = write("Gather", write("Shape", x), np.asarray(axis, np.int64))
    zero, one = (write.constant(np.asarray(number, np.int64)) for number in (0, 1))
    times = write("Range", zero, length, one)
    last = write("Add", write("Div", length, 2), 1) if onesided else length
    frequencies = write("Range", zero, last, one)
    products = write("Mul", write("Unsqueeze", times, [1]), write("Unsqueeze", frequencies, [0]))
    # Whole turns go first: floats of large angles have lost their fractions.
    rests = write("Cast", write("Mod", products, length), to=ir.DataType.FLOAT)
    turns = write("Div", rests, write("Cast", length, to=ir.DataType.FLOAT))
    angles = write("Mul", turns, np.asarray(_TURN, np.float32))
    cosines, sines = (write("CastLike", write(wave, angles), x) for wave in ("Cos", "Sin"))
    return length, cosines, sines


def wave_angles(length: int, frequencies: int) -> Array:
    """Angles of times and frequencies, [length, frequencies], without whole turns."""
    products = np.outer(np.arange(length), np.arange(frequencies)) % length
    return _TURN * products / length
