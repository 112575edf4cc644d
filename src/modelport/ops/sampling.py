"""Drawing an operator's inputs and attributes, for its tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import torch

_Item = TypeVar("_Item")
_INTEGERS = ("int32", "int64", "int8", "uint8")


class Draw:
    """What an operator's cases are drawn from: the same for the same seed.

    Attributes:
        seed: The seed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._generator = torch.Generator().manual_seed(seed)
        self._is_corner = self.integer(0, 3) == 0

    def integer(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return int(torch.randint(low, high + 1, (), generator=self._generator))

    def size(self, low: int = 0, high: int = 17) -> int:
        """A dimension, such that most tensors have elements whatever their rank.

        In every fourth case half of the dimensions are at the lower end; in the others none is 0.
        """
        if self._is_corner and self.flag():
            return low
        return self.integer(min(max(low, 1), high), high)

    def real(self, low: float, high: float) -> float:
        """A number from low to high that a float32 holds exactly."""
        between = torch.rand((), generator=self._generator) * (high - low) + low
        return float(between.to(torch.float32))

    def flag(self) -> bool:
        """True or False."""
        return self.integer(0, 1) == 1

    def choice(self, items: Sequence[_Item]) -> _Item:
        """One of several things."""
        return items[self.integer(0, len(items) - 1)]

    def tensor(
        self, shape: Sequence[int], dtype: str = "float32", low: float = -2, high: float = 2
    ) -> torch.Tensor:
        """A tensor of evenly distributed values.

        Args:
            shape: Its shape.
            dtype: NumPy's name of its element type.
            low: The lowest value.
            high: The highest value, which integers may reach.
        """
        element: Any = getattr(torch, dtype)
        if dtype == "bool":
            return torch.rand(tuple(shape), generator=self._generator) < 0.5
        if dtype in _INTEGERS:
            low = max(low, 0) if dtype == "uint8" else low
            whole = torch.randint(int(low), int(high) + 1, tuple(shape), generator=self._generator)
            return whole.to(element)
        values = torch.rand(tuple(shape), generator=self._generator, dtype=torch.float64)
        return (values * (high - low) + low).to(element)
