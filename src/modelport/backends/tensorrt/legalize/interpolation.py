"""Resizing along one axis as a matrix, by the formulas of ONNX's Resize."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from modelport.arrays import Array


@dataclass(frozen=True)
class AxisResize:
    """How one axis is resized.

    Attributes:
        size: Elements of the input.
        out: Elements of the output.
        scale: The second by the first, or as the model says it.
        mode: ``nearest``, ``linear`` or ``cubic``.
        coordinates: ONNX's `coordinate_transformation_mode`.
        rounding: ONNX's `nearest_mode`.
        cubic: The coefficient of Keys' cubic convolution.
        exclude_outside: Whether elements outside have no weight.
        antialias: Whether the filter is stretched where the axis becomes shorter.
        region: Begin and end of the part that is looked at, from 0 to 1.
    """

    size: int
    out: int
    scale: float
    mode: str
    coordinates: str
    rounding: str = "round_prefer_floor"
    cubic: float = -0.75
    exclude_outside: bool = False
    antialias: bool = False
    region: tuple[float, float] = (0.0, 1.0)

    def places(self) -> Array:
        """Where each element of the output lies in the input, float64 [out]."""
        x = np.arange(self.out, dtype=np.float64)
        most = self.size - 1
        match self.coordinates:
            case "half_pixel":
                return (x + 0.5) / self.scale - 0.5
            case "half_pixel_symmetric":
                exact = self.scale * self.size
                offset = self.size / 2 * (1 - self.out / exact)
                return offset + (x + 0.5) / self.scale - 0.5
            case "pytorch_half_pixel":
                return (x + 0.5) / self.scale - 0.5 if self.out > 1 else np.zeros(1)
            case "align_corners":
                return x * most / (self.out - 1) if self.out > 1 else np.zeros(1)
            case "asymmetric":
                return x / self.scale
        begin, end = self.region
        if self.out > 1:
            return begin * most + x * (end - begin) * most / (self.out - 1)
        return np.full(1, 0.5 * (begin + end) * most)

    def outside(self) -> Array:
        """Which elements of the output lie outside of the input, bool [out]."""
        places = self.places()
        return (places < 0) | (places > self.size - 1)

    def nearest(self) -> Array:
        """The element of the input that each one of the output is, int64 [out]."""
        x = self.places()
        rounded = {
            "floor": np.floor(x),
            "ceil": np.ceil(x),
            "round_prefer_ceil": np.floor(x + 0.5),
        }.get(self.rounding, np.ceil(x - 0.5))
        return np.clip(rounded, 0, self.size - 1).astype(np.int64)

    def matrix(self) -> Array:
        """The weights of the input's elements in each of the output's, float32 [out, size]."""
        weights = np.zeros((self.out, self.size))
        if self.mode == "nearest":
            weights[np.arange(self.out), self.nearest()] = 1
        else:
            for row, place in enumerate(self.places()):
                self._sampled(weights[row], place)
        return weights.astype(np.float32)

    def _filter(self, distance: Array) -> Array:
        far = np.abs(distance)
        if self.mode == "linear":
            return np.asarray(np.maximum(1 - far, 0))
        a = self.cubic
        near: Array = ((a + 2) * far - (a + 3)) * far * far + 1
        beyond = ((a * far - 5 * a) * far + 8 * a) * far - 4 * a
        return np.asarray(np.where(far <= 1, near, np.where(far < 2, beyond, 0)))

    def _sampled(self, row: Array, place: float) -> None:
        stretch = max(1 / self.scale, 1.0) if self.antialias else 1.0
        reach = (1 if self.mode == "linear" else 2) * stretch
        taps = np.arange(math.ceil(place - reach), math.floor(place + reach) + 1)
        weights = self._filter((taps - place) / stretch)
        if self.exclude_outside:
            weights = np.where((taps >= 0) & (taps < self.size), weights, 0)
        # Elsewhere the border is continued.
        np.add.at(row, np.clip(taps, 0, self.size - 1), weights / weights.sum())
