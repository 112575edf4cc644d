"""Sizes of a dimension that tell the most about what a graph assumed of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from modelport.signature import Dim

_REACH = 1024


def _is_prime(size: int) -> bool:
    return size > 1 and all(size % factor for factor in range(2, math.isqrt(size) + 1))


_KINDS: tuple[Callable[[int], bool], ...] = (
    _is_prime,
    lambda size: size > 1 and math.isqrt(size) ** 2 == size,
    lambda size: size % 8 == 0,
    lambda size: size > 1 and size.bit_count() == 1,
)
"""Kinds of sizes that models take, or treat, unlike others: windows and patches, folded squares,
halvings, and what nothing divides."""


def informative_sizes(size: int, dim: Dim) -> list[int]:
    """Sizes inside a range, other than the example's, the most telling first.

    One step more, the smallest, the nearest of each kind (prime, square, multiple of 8, power of
    2), one step less, the double, the half, and the largest. A size stands for every kind that it
    is of.

    Args:
        size: The example's size.
        dim: The range.

    Returns:
        The sizes, each once.
    """
    step = dim.multiple
    sizes = [size + step, dim.nearest(1)]
    for is_kind in _KINDS:
        if not any(is_kind(other) for other in sizes if other in dim and other != size):
            sizes += _nearest(size, dim, is_kind)
    sizes += [size - step, 2 * size, dim.nearest(size // 2), dim.min]
    sizes += [] if dim.max is None else [dim.max]
    return [other for other in dict.fromkeys(sizes) if other != size and other in dim]


def _nearest(size: int, dim: Dim, is_kind: Callable[[int], bool]) -> list[int]:
    near = (other for other in _outwards(size) if other in dim and other > 0 and is_kind(other))
    return [other for other in (next(near, None),) if other is not None]


def _outwards(size: int) -> Iterator[int]:
    for step in range(1, max(size, 1) + _REACH):
        yield size + step
        yield size - step
