"""Sizes that are known up to a name and a range, and arithmetic on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """An integer of shape arithmetic: a number, or a name with a range.

    Attributes:
        key: What it is, in writing; two sizes of one key are equal.
        low: The least that it can be.
        high: The most that it can be; infinite where that is open.
    """

    key: str
    low: float
    high: float

    @property
    def number(self) -> int | None:
        """The number, where it can be but one."""
        return int(self.low) if self.low == self.high else None


def exactly(number: int) -> Size:
    """A number as a size."""
    return Size(str(number), number, number)


Binary = Callable[[Size, Size], Size]


def _made(symbol: str, first: Size, second: Size, low: float, high: float) -> Size:
    if low == high:
        return exactly(int(low))
    return Size(f"({first.key}{symbol}{second.key})", low, high)


def _ordered(first: Size, second: Size) -> tuple[Size, Size]:
    return (first, second) if first.key <= second.key else (second, first)


def add(first: Size, second: Size) -> Size:
    """The sum."""
    if first.number == 0 or second.number == 0:
        return second if first.number == 0 else first
    first, second = _ordered(first, second)
    return _made("+", first, second, first.low + second.low, first.high + second.high)


def subtract(first: Size, second: Size) -> Size:
    """The difference."""
    if first.key == second.key:
        return exactly(0)
    if second.number == 0:
        return first
    return _made("-", first, second, first.low - second.high, first.high - second.low)


def multiply(first: Size, second: Size) -> Size:
    """The product."""
    if first.number == 1 or second.number == 1:
        return second if first.number == 1 else first
    if 0 in (first.number, second.number):
        return exactly(0)
    first, second = _ordered(first, second)
    corners = [
        one * other
        for one in (first.low, first.high)
        for other in (second.low, second.high)
        if not ((math.isinf(one) and other == 0) or (math.isinf(other) and one == 0))
    ]
    if min(first.low, second.low) >= 0:
        corners.append(first.low * second.low)
    return _made("*", first, second, min(corners), max(corners))


def divide(first: Size, second: Size) -> Size | None:
    """The quotient of what is not negative, rounded down; None where that is not known."""
    if second.number == 1:
        return first
    if first.low < 0 or second.low < 1:
        return None
    low = 0 if math.isinf(second.high) else first.low // second.high
    high = first.high if math.isinf(first.high) else first.high // second.low
    return _made("//", first, second, low, high)


def remainder(first: Size, second: Size) -> Size | None:
    """The remainder of what is not negative; None where that is not known."""
    if first.low < 0 or second.low < 1:
        return None
    if first.number is not None and second.number is not None:
        return exactly(first.number % second.number)
    return _made("%", first, second, 0, min(first.high, second.high - 1))


def smaller(first: Size, second: Size) -> Size:
    """The lesser of both."""
    if first.key == second.key or first.high <= second.low:
        return first
    if second.high <= first.low:
        return second
    first, second = _ordered(first, second)
    return _made("<", first, second, min(first.low, second.low), min(first.high, second.high))


def larger(first: Size, second: Size) -> Size:
    """The greater of both."""
    if first.key == second.key or first.low >= second.high:
        return first
    if second.low >= first.high:
        return second
    first, second = _ordered(first, second)
    return _made(">", first, second, max(first.low, second.low), max(first.high, second.high))


def _truth(value: bool) -> Size:
    return exactly(int(value))


def equal(first: Size, second: Size) -> Size | None:
    """1 where both are equal whatever they are, 0 where they cannot be; else None."""
    if first.key == second.key:
        return _truth(True)
    if first.high < second.low or second.high < first.low:
        return _truth(False)
    return None


def less(first: Size, second: Size) -> Size | None:
    """1 where the first is less whatever they are, 0 where it cannot be; else None."""
    if first.high < second.low:
        return _truth(True)
    if first.key == second.key or first.low >= second.high:
        return _truth(False)
    return None


def negated(truth: Size | None) -> Size | None:
    """The contrary of a truth."""
    return None if truth is None or truth.number is None else _truth(not truth.number)


def product(sizes: Sequence[Size]) -> Size:
    """The product of all."""
    result = exactly(1)
    for size in sizes:
        result = multiply(result, size)
    return result


def total(sizes: Sequence[Size]) -> Size:
    """The sum of all."""
    result = exactly(0)
    for size in sizes:
        result = add(result, size)
    return result
