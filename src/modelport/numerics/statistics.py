"""Everything that is measured about one output beside what it should be."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelport.arrays import Array
from modelport.numerics.metrics import cosine, psnr, rms, snr, top_k_agreement, ulps

PERCENTILES = (50, 95, 99)
TOP_K = (1, 5)
HISTOGRAM_EDGES = tuple(range(-16, 5))
"""Powers of ten between which absolute errors are counted."""
MAP_SIDE = 64
_CLASS_RANKS = (1, 2, 3)


@dataclass(frozen=True)
class Spread:
    """How an error is spread over the elements.

    Attributes:
        max: The largest.
        mean: The mean.
        percentiles: By the percentage of elements that are not above it.
    """

    max: float
    mean: float
    percentiles: dict[int, float]


@dataclass(frozen=True)
class Measures:
    """What was measured about one output, over the elements that are finite on both sides.

    Attributes:
        absolute: ``|actual - expected|``.
        relative: The same, divided by ``|expected| + rms(expected)``.
        ulp: The same, in representable numbers of the expected dtype; None for other than floats.
        cosine: Cosine of the angle between the two as vectors.
        psnr: Peak signal-to-noise ratio in decibels; the peak is what the expected values span.
        snr: Signal-to-noise ratio in decibels.
        top_k: Share of the k largest along the last axis that agree, by k; for float arrays of
            rank 1 to 3.
        nan: Elements that are NaN: expected, actual.
        infinite: Elements that are infinite: expected, actual.
        first_odd: Index of the first element that is NaN or infinite on one side alone.
        histogram: Elements by the power of ten of their absolute error; the first counts those
            that are exact, and each further one those from 10**edge up, for the edges in
            `HISTOGRAM_EDGES` (the lowest takes what is below it).
        error_map: Float32, at most 64 by 64: the largest absolute error over leading axes and
            over blocks of the last two axes; infinite where NaN or infinity is on one side alone.
    """

    absolute: Spread
    relative: Spread
    ulp: Spread | None
    cosine: float
    psnr: float
    snr: float
    top_k: dict[int, float]
    nan: tuple[int, int]
    infinite: tuple[int, int]
    first_odd: tuple[int, ...] | None
    histogram: tuple[int, ...]
    error_map: Array = field(compare=False, repr=False)

    def to_json(self) -> dict[str, Any]:
        """The figures as plain dicts and lists; what is not finite is a string, or None."""
        fields = {item.name for item in dataclasses.fields(self)} - {"error_map"}
        return {name: _plain(getattr(self, name)) for name in sorted(fields)}


def measure(expected: Array, actual: Array) -> Measures | None:
    """Measures how far an output lies from what it should be.

    Args:
        expected: Numbers or booleans of any shape.
        actual: The same shape; another dtype is converted to the expected one.

    Returns:
        The measures; None for strings, empty arrays, and arrays of different shapes.
    """
    kinds = expected.dtype.kind + actual.dtype.kind
    if expected.shape != actual.shape or not expected.size or set(kinds) & set("UOS"):
        return None
    if expected.dtype.kind == "c":
        expected, actual = _as_pairs(expected), _as_pairs(actual.astype(expected.dtype))
    is_float = expected.dtype.kind not in "iub"
    came_typed = actual.astype(expected.dtype) if actual.dtype != expected.dtype else actual
    wanted, came = expected.astype(np.float64), came_typed.astype(np.float64)
    odd = ~np.isfinite(wanted) | ~np.isfinite(came)
    broken = odd & ~((wanted == came) | (np.isnan(wanted) & np.isnan(came)))
    kept_wanted, kept_came = np.where(odd, 0.0, wanted), np.where(odd, 0.0, came)
    # The difference of two of the largest doubles is beyond them.
    with np.errstate(over="ignore"):
        error = np.abs(kept_wanted - kept_came)
        span = float(kept_wanted.max() - kept_wanted.min())
    scale = np.abs(kept_wanted) + rms(kept_wanted)
    relative = np.divide(error, scale, out=np.zeros_like(error), where=scale > 0)
    relative[(scale == 0) & (error > 0)] = np.inf
    peak = span or float(np.abs(kept_wanted).max()) or 1.0
    classes = is_float and expected.ndim in _CLASS_RANKS and expected.shape[-1] > 1
    return Measures(
        absolute=_spread(error),
        relative=_spread(relative),
        ulp=_spread(ulps(expected, came_typed)[~odd]) if is_float and not odd.all() else None,
        cosine=cosine(kept_wanted, kept_came),
        psnr=psnr(kept_wanted, kept_came, peak),
        snr=snr(kept_wanted, kept_came),
        top_k={
            k: top_k_agreement(kept_wanted, kept_came, k)
            for k in TOP_K
            if classes and k < expected.shape[-1]
        },
        nan=(int(np.isnan(wanted).sum()), int(np.isnan(came).sum())),
        infinite=(int(np.isinf(wanted).sum()), int(np.isinf(came).sum())),
        first_odd=tuple(int(i) for i in np.argwhere(broken)[0]) if broken.any() else None,
        histogram=_histogram(error[~odd]),
        error_map=_error_map(np.where(broken, np.inf, error)),
    )


def _as_pairs(array: Array) -> Array:
    """A complex number is two numbers here."""
    return np.stack([array.real, array.imag], axis=-1)


def _spread(error: Array) -> Spread:
    values = np.percentile(error, PERCENTILES, method="higher")
    percentiles = {key: float(value) for key, value in zip(PERCENTILES, values, strict=True)}
    return Spread(float(error.max()), float(error.mean()), percentiles)


def _histogram(error: Array) -> tuple[int, ...]:
    inexact = error[error > 0]
    powers = np.clip(np.floor(np.log10(inexact)), HISTOGRAM_EDGES[0], HISTOGRAM_EDGES[-1])
    counts, _ = np.histogram(powers, bins=[*HISTOGRAM_EDGES, HISTOGRAM_EDGES[-1] + 1])
    return (int(error.size - inexact.size), *(int(count) for count in counts))


def _error_map(error: Array) -> Array:
    flat = np.atleast_2d(error)
    flat = flat.reshape(-1, *flat.shape[-2:]).max(axis=0)
    for axis in (0, 1):
        step = math.ceil(flat.shape[axis] / MAP_SIDE)
        starts = np.arange(0, flat.shape[axis], step)
        flat = np.maximum.reduceat(flat, starts, axis=axis)
    # What float32 cannot hold is black in the picture, as infinity is.
    with np.errstate(over="ignore"):
        return flat.astype(np.float32)


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    if isinstance(value, Spread):
        return {
            "max": _plain(value.max),
            "mean": _plain(value.mean),
            "percentiles": _plain(value.percentiles),
        }
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
