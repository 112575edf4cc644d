"""Weights and constants: reading them, and saying what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modelport.arrays import Array
from modelport.errors import UsageError

if TYPE_CHECKING:
    import onnx_ir


@dataclass(frozen=True)
class Statistics:
    """Statistics of a tensor.

    Attributes:
        min: The smallest finite element.
        max: The largest finite element.
        mean: Mean of the finite elements.
        std: Their standard deviation.
        zeros: Elements that are 0.
        not_finite: Elements that are NaN or infinite.
    """

    min: float
    max: float
    mean: float
    std: float
    zeros: int
    not_finite: int

    def __str__(self) -> str:
        text = f"min {self.min:.4g}, max {self.max:.4g}, mean {self.mean:.4g}, std {self.std:.4g}"
        text += f", {self.zeros} zeros" if self.zeros else ""
        return text + (f", {self.not_finite} not finite" if self.not_finite else "")


def initializers(model: onnx_ir.Model) -> Iterator[onnx_ir.Value]:
    """The initializers of a model, those inside of nodes included."""
    for graph in model.graphs():
        yield from graph.initializers.values()


def read_array(name: str, tensor: onnx_ir.TensorProtocol) -> Array:
    """A tensor's elements.

    Args:
        name: What the error calls it.
        tensor: The tensor, whose data may lie in a file.

    Raises:
        UsageError: The data cannot be read, or are not what dtype and shape say.
    """
    try:
        array = np.asarray(tensor.numpy())
        if array.shape != tuple(tensor.shape):
            raise ValueError(f"there are {array.size} elements")
    except (AssertionError, OSError, TypeError, ValueError, OverflowError, MemoryError) as error:
        raise UsageError(
            f"the tensor {name!r} cannot be read: {tensor.dtype} {list(tensor.shape)}",
            why=f"{type(error).__name__}: {error}",
            fix="write the model again",
        ) from error
    return array


def numeric(array: Array) -> Array | None:
    """The elements as float64, flat; None if they are not real numbers."""
    if array.dtype.kind in "SUOc" or array.size == 0:
        return None
    return array.astype(np.float64).ravel()


def statistics(array: Array) -> Statistics | None:
    """Statistics of an array; None if it has no numbers."""
    values = numeric(array)
    if values is None:
        return None
    finite = values[np.isfinite(values)]
    bad = values.size - finite.size
    if not finite.size:
        return Statistics(np.nan, np.nan, np.nan, np.nan, 0, bad)
    ends = float(finite.min()), float(finite.max())
    with np.errstate(over="ignore"):
        mean, std = float(finite.mean()), float(finite.std())
    return Statistics(*ends, mean, std, int(np.count_nonzero(finite == 0)), bad)


def histogram(array: Array, bins: int = 32) -> list[int]:
    """Number of elements in each of equally wide bins between the smallest and the largest."""
    values = numeric(array)
    if values is None:
        return []
    finite = values[np.isfinite(values)]
    with np.errstate(over="ignore", invalid="ignore"):
        span = float(np.ptp(finite)) if finite.size else 0.0
    if not np.isfinite(span):
        finite, span = finite / 4.0, 1.0
    if not finite.size:
        return []
    try:
        return [int(count) for count in np.histogram(finite, bins)[0]]
    except ValueError:  # all but equal: no 32 different edges lie between them
        return [int(finite.size)]
