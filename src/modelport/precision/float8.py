"""Floats of 8 bits (E4M3FN): the grids and weights of fp8."""

from __future__ import annotations

import ml_dtypes
import numpy as np

from modelport.arrays import Array

FLOAT8 = "float8"
"""The form of Q/DQ with floats of 8 bits."""

FLOAT8_OPSET = 19
"""The opset that introduced them in QuantizeLinear and DequantizeLinear."""

_LARGEST = 448.0
_DTYPE = ml_dtypes.float8_e4m3fn
ZERO = _DTYPE(0)
"""Zero point: always 0 for floats."""


def float8_scale(low: float, high: float) -> np.float32:
    """The scale by which a range reaches the largest float of 8 bits (P. Micikevicius et al., FP8
    Formats for Deep Learning, 2022)."""
    tiny = float(np.finfo(np.float32).tiny)
    return np.float32(max(-low, high, _LARGEST * tiny) / _LARGEST)


def float8_weight(array: Array, axis: int | None) -> tuple[Array, Array]:
    """Rounds weights to floats of 8 bits, to the nearest one and ties to even.

    Args:
        array: float32, any shape.
        axis: The axis of the channels; None for one scale for all.

    Returns:
        float8_e4m3fn of the same shape, and the scales, float32 [channels] or [].
    """
    others = tuple(index for index in range(array.ndim) if index != axis)
    largest = np.abs(array).max(axis=None if axis is None else others, initial=0.0)
    scales = np.where(largest > 0.0, largest / np.float32(_LARGEST), 1.0).astype(np.float32)
    scales = np.maximum(scales, np.finfo(np.float32).tiny)
    shape = [1] * array.ndim
    if axis is not None:
        shape[axis] = -1
    kept = np.clip(array / scales.reshape(shape), -_LARGEST, _LARGEST)
    return kept.astype(_DTYPE), np.asarray(scales)
