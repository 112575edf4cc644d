"""Measures of how far two arrays lie apart."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def rms(array: Array) -> float:
    """Root mean square of the finite elements; 0 where there are none.

    The elements are divided by the largest first, so that no square overflows or vanishes.
    """
    finite = array[np.isfinite(array)]
    largest = float(np.abs(finite).max(initial=0.0))
    return largest * float(np.sqrt(np.mean(np.square(finite / largest)))) if largest else 0.0


def cosine(expected: Array, actual: Array) -> float:
    """Cosine of the angle between two arrays as vectors; 1 where both are zero.

    Args:
        expected: Float64, any shape, finite.
        actual: Likewise, of the same shape.

    Returns:
        The cosine, in -1..1.
    """
    first, second = _scaled(expected.ravel()), _scaled(actual.ravel())
    norms = float(np.linalg.norm(first) * np.linalg.norm(second))
    if norms == 0.0:
        return 1.0 if np.array_equal(first, second) else 0.0
    return float(np.clip(first @ second / norms, -1.0, 1.0))


def _scaled(vector: Array) -> Array:
    largest = np.abs(vector).max(initial=0.0)
    return vector / largest if largest else vector


def psnr(expected: Array, actual: Array, peak: float) -> float:
    """Peak signal-to-noise ratio in decibels; infinite for equal arrays."""
    error = rms(expected.astype(np.float64) - actual.astype(np.float64))
    return float("inf") if error == 0.0 else 20.0 * float(np.log10(peak / error))
