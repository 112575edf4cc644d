"""Measures of how far two arrays lie apart."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def rms(array: Array) -> float:
    """Root mean square of the finite elements; 0 where there are none."""
    finite = array[np.isfinite(array)]
    return float(np.sqrt(np.mean(np.square(finite)))) if finite.size else 0.0


def cosine(expected: Array, actual: Array) -> float:
    """Cosine of the angle between two arrays as vectors; 1 where both are zero.

    Args:
        expected: Float64, any shape, finite.
        actual: Likewise, of the same shape.

    Returns:
        The cosine, in -1..1.
    """
    first, second = expected.ravel(), actual.ravel()
    norms = float(np.linalg.norm(first) * np.linalg.norm(second))
    if norms == 0.0:
        return 1.0 if np.array_equal(first, second) else 0.0
    return float(np.clip(first @ second / norms, -1.0, 1.0))


def psnr(expected: Array, actual: Array, peak: float) -> float:
    """Peak signal-to-noise ratio in decibels; infinite for equal arrays."""
    error = float(np.mean(np.square(expected.astype(np.float64) - actual.astype(np.float64))))
    return float("inf") if error == 0.0 else 10.0 * float(np.log10(peak**2 / error))
