"""Types of arrays, for annotations: one array of any dtype and rank, and arrays by name."""

from __future__ import annotations

from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
"""An array of any dtype and rank."""

Arrays: TypeAlias = dict[str, Array]
"""Arrays by the name of an input or output."""
