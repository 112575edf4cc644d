"""Shape rules: the output shapes and dtypes of an operator, for every kind of dimension."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class DataDependent:
    """A dimension that only the values decide: `DATA_DEPENDENT`, or one with a bound.

    Attributes:
        bound: What it is at most; None where that is not known.
    """

    __slots__ = ("bound",)

    def __init__(self, bound: Any = None) -> None:
        self.bound = bound

    def at_most(self, bound: Any) -> DataDependent:
        """The same with a bound, which TensorRT needs: it reserves the memory beforehand.

        Args:
            bound: A number as the rule computes with: of input dimensions and attributes.
        """
        return DataDependent(bound)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DataDependent)

    def __hash__(self) -> int:
        return hash(DataDependent)

    def __repr__(self) -> str:
        bounded = "" if self.bound is None else f".at_most({self.bound})"
        return f"DATA_DEPENDENT{bounded}"


DATA_DEPENDENT = DataDependent()
"""In a shape rule: a size that only the kernel knows."""


class TensorInfo:
    """The shape and dtype of a tensor, as shape rules see and give them.

    Attributes:
        shape: The dimensions: whatever counts as a number where the rule runs (an ``int``, a
            symbolic size of PyTorch), or `DATA_DEPENDENT`, perhaps with a bound.
        dtype: NumPy's name of the element type.
    """

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: Sequence[Any], dtype: str) -> None:
        self.shape = tuple(shape)
        self.dtype = dtype

    def like(self, shape: Sequence[Any] | None = None, dtype: str | None = None) -> TensorInfo:
        """The same with another shape, another dtype, or both."""
        return TensorInfo(self.shape if shape is None else shape, dtype or self.dtype)

    def __repr__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"
