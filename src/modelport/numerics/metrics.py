"""Measures of how far two arrays lie apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelport.arrays import Array


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


def snr(expected: Array, actual: Array) -> float:
    """Signal-to-noise ratio in decibels, ``10 log10(sum(expected^2) / sum(error^2))``.

    Returns:
        Infinite for equal arrays; minus infinite where nothing was expected and something came.
    """
    wanted, came = expected.astype(np.float64), actual.astype(np.float64)
    noise, signal = rms(wanted - came), rms(wanted)
    if noise == 0.0:
        return float("inf")
    return 20.0 * float(np.log10(signal) - np.log10(noise)) if signal else float("-inf")


def ulps(expected: Array, actual: Array) -> Array:
    """Distance of floats, counted in representable numbers between them.

    The bits of floats of one sign are in the order of their values (IEEE 754), so that the
    distance is the difference of the bits as integers, negative ones mirrored at zero.

    Args:
        expected: A float dtype, any shape.
        actual: The same dtype and shape.

    Returns:
        Float64 of the same shape: 0 for equal values (+0 and -0, and NaN and NaN, included);
        infinite where one is NaN and the other is not.
    """
    integer = np.dtype(f"int{8 * expected.dtype.itemsize}")
    first, second = _ordered(expected, integer), _ordered(actual, integer)
    opposite = (first < 0) != (second < 0)
    # Of one sign their difference fits; of two signs it is a sum, which may not.
    apart = np.abs(np.where(opposite, 0, first) - np.where(opposite, 0, second))
    across = np.abs(first.astype(np.float64)) + np.abs(second.astype(np.float64))
    distance: Array = np.where(opposite, across, apart.astype(np.float64))
    unknown = np.isnan(expected), np.isnan(actual)
    distance[unknown[0] & unknown[1]] = 0.0
    distance[unknown[0] != unknown[1]] = np.inf
    return distance


def _ordered(array: Array, integer: np.dtype[Any]) -> Array:
    bits = np.ascontiguousarray(array).view(integer).reshape(array.shape).astype(np.int64)
    return np.where(bits < 0, np.int64(np.iinfo(integer).min) - bits, bits)


def top_k_agreement(expected: Array, actual: Array, k: int) -> float:
    """How many of the k largest along the last axis are the same, on average over the rest.

    Args:
        expected: Scores, [..., classes].
        actual: Likewise, of the same shape.
        k: How many, at most the number of classes.

    Returns:
        A share in 0..1; the order among the k does not count.
    """
    first = np.argsort(-expected, axis=-1, kind="stable")[..., :k]
    second = np.argsort(-actual, axis=-1, kind="stable")[..., :k]
    return float((first[..., :, None] == second[..., None, :]).any(-1).mean())
