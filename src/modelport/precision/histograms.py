"""Streaming histograms of a tensor's values during calibration."""

from __future__ import annotations

import numpy as np

from modelport.arrays import Array

BINS = 2048
"""Bins of a histogram of magnitudes."""

SAMPLE = 1 << 17
"""Elements of a tensor that are counted in each run; the ends are those of all elements."""


class Histogram:
    """Ends, and a histogram of magnitudes whose range doubles if a larger one occurs.

    Doubling merges bins in pairs, so that nothing counted is lost and memory does not grow.

    Attributes:
        low: The smallest value, 0 at most.
        high: The largest value, 0 at least.
        counts: How many magnitudes fell into each bin, int64 [BINS].
        limit: Where the last bin ends; 0 before anything but zeros was seen.
    """

    def __init__(self) -> None:
        self.low, self.high = 0.0, 0.0
        self.counts = np.zeros(BINS, np.int64)
        self.limit = 0.0

    def add(self, values: Array) -> None:
        """Counts finite values, of any shape."""
        if not values.size:
            return
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))
        self._reach(max(-self.low, self.high))
        if not self.limit:
            return
        flat = values.reshape(-1)
        flat = flat[:: -(-flat.size // SAMPLE)]
        bins = (np.abs(flat) * np.float32(BINS / self.limit)).astype(np.int64)
        self.counts += np.bincount(np.minimum(bins, BINS - 1), minlength=BINS)

    def _reach(self, magnitude: float) -> None:
        if magnitude and not self.limit:
            self.limit = magnitude
        while self.limit < magnitude:
            merged = self.counts.reshape(-1, 2).sum(1)
            self.counts = np.concatenate([merged, np.zeros(BINS // 2, np.int64)])
            self.limit *= 2.0

    @property
    def centers(self) -> Array:
        """Magnitude of each bin, float64 [BINS]."""
        middles: Array = (np.arange(BINS) + 0.5) * (self.limit / BINS)
        return middles


LEVELS = 127
"""Steps from zero to the end of a symmetric range of 8 bits."""

_CANDIDATES = np.linspace(0.1, 1.0, 91)
"""Thresholds that are tried, as shares of the largest magnitude."""


def largest(histogram: Histogram, percentile: float = 100.0) -> float:
    """The threshold below which a percentage of the magnitudes lies.

    Args:
        histogram: The values.
        percentile: In 0..100; the largest magnitude by default.
    """
    reached = max(-histogram.low, histogram.high)
    if percentile >= 100.0 or not histogram.limit:
        return reached
    shares = np.cumsum(histogram.counts) / histogram.counts.sum()
    bin_index = int(np.searchsorted(shares, percentile / 100.0))
    return min(reached, (bin_index + 1) * histogram.limit / BINS)


def least_squares(histogram: Histogram) -> float:
    """The threshold with the smallest mean squared error of rounding and clipping together.

    Rounding with step s costs s^2/12 for a value inside (B. Widrow, I. Kollar, Quantization Noise,
    2008, section 1.2), clipping costs the square of what is cut off.
    """
    reached = largest(histogram)
    if not histogram.limit:
        return reached
    centers, counts = histogram.centers, histogram.counts
    thresholds = _CANDIDATES * reached
    steps = thresholds / LEVELS
    outside = np.maximum(centers[None, :] - thresholds[:, None], 0.0)
    inside = (outside == 0.0) * (steps[:, None] ** 2 / 12.0)
    # Values smaller than half a step become zero, which costs their square, not s^2/12.
    small = centers[None, :] < steps[:, None] / 2.0
    inside = np.where(small, centers[None, :] ** 2, inside)
    return float(thresholds[np.argmin((inside + outside**2) @ counts)])


def least_divergence(histogram: Histogram) -> float:
    """The threshold with the smallest Kullback-Leibler divergence from the values' distribution.

    S. Migacz, 8-bit Inference with TensorRT, GTC 2017: what lies beyond the threshold is added to
    the last bin inside of it, the bins are merged into as many as there are levels, and spread
    again over those that were not empty. The bin of zero is left out, since zero is exact.
    """
    reached = largest(histogram)
    if not histogram.limit:
        return reached
    counts = histogram.counts.astype(np.float64)
    counts[0] = 0.0
    occupied = int(np.ceil(reached / histogram.limit * BINS))
    best, chosen = np.inf, reached
    for share in _CANDIDATES:
        width = round(occupied * share)
        if width <= LEVELS + 1:
            continue
        inside = counts[:width].copy()
        if not inside.any():
            continue
        merged = _merged(inside)
        inside[-1] += counts[width:].sum()
        divergence = _divergence(inside, merged)
        if divergence < best:
            best, chosen = divergence, min(reached, width * histogram.limit / BINS)
    return chosen


def _merged(counts: Array) -> Array:
    """The counts after quantization: level by level, over the bins that were not empty."""
    level = np.arange(counts.size) * (LEVELS + 1) // counts.size
    sums = np.bincount(level, counts, LEVELS + 1)
    filled = np.bincount(level, counts > 0, LEVELS + 1)
    spread: Array = np.where(counts > 0, (sums / np.maximum(filled, 1))[level], 0.0)
    return spread


def _divergence(true: Array, quantized: Array) -> float:
    """Kullback-Leibler divergence of two counts; empty bins of the second count as tiny."""
    p, q = true / true.sum(), quantized / quantized.sum()
    there = p > 0
    return float(np.sum(p[there] * np.log(p[there] / np.maximum(q[there], 1e-10))))
