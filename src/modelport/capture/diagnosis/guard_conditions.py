"""Assumptions of torch about sizes, as conditions that can be solved and stored."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from modelport.signature import Dim
from modelport.size_condition import Expression, SizeCondition

SympyExpression: TypeAlias = Any
"""An expression over symbols of sizes: sympy has no types of its own."""

_COMPARISONS = {
    "Equality": "==",
    "Unequality": "!=",
    "StrictLessThan": "<",
    "LessThan": "<=",
    "StrictGreaterThan": ">",
    "GreaterThan": ">=",
}
_DIVISIONS = {
    "FloorDiv": "//",
    "CleanDiv": "//",
    "Mod": "%",
    "PythonMod": "%",
}
"""Functions of two whole numbers, of sympy and of torch, by the operator that computes the same for
sizes."""
_LARGEST_POWER = 4
_MOST_COMBINED = 3_000
"""Combinations of sizes that are tried for a condition."""
_GEOMETRIC = tuple(sorted({int(1.5**step) for step in range(28)}))
"""Sizes up to 57,000 in steps that grow."""


def condition_of(expression: SympyExpression, symbols: Mapping[str, str]) -> SizeCondition | None:
    """A condition that says the same as an expression of sympy.

    Args:
        expression: A boolean expression over torch's symbols.
        symbols: Names of dimensions by symbol.

    Returns:
        None where it has other symbols or other operations, such as floating-point numbers.
    """
    comparison = _COMPARISONS.get(type(expression).__name__)
    if comparison is None:
        return None
    # `a/2 <= 3` is a comparison of whole numbers once both sides are multiplied.
    factor = math.lcm(*(int(number.q) for number in expression.atoms(_rational())))
    sides = [side if factor == 1 else (side * factor).expand() for side in expression.args]
    left, right = (_converted(side, symbols) for side in sides)
    if left is None or right is None:
        return None
    return SizeCondition(comparison, left, right)


def _rational() -> type:
    import sympy

    found: type = sympy.Rational
    return found


def _converted(expression: SympyExpression, symbols: Mapping[str, str]) -> Expression | None:
    kind = type(expression).__name__
    if expression.is_Integer:
        return int(expression)
    if expression.is_Symbol:
        return symbols.get(str(expression))
    if expression.is_Pow:
        return _power(expression, symbols)
    if expression.is_Add or expression.is_Mul:
        sides = [_converted(side, symbols) for side in expression.args]
        return _folded("+" if expression.is_Add else "*", sides)
    if _DIVISIONS.get(kind):
        left, right = (_converted(side, symbols) for side in expression.args)
        return _folded(_DIVISIONS[kind], [left, right])
    return None


def _power(expression: SympyExpression, symbols: Mapping[str, str]) -> Expression | None:
    base, exponent = expression.args
    if not exponent.is_Integer or not 1 <= int(exponent) <= _LARGEST_POWER:
        return None
    return _folded("*", [_converted(base, symbols)] * int(exponent))


def _folded(operator: str, sides: Sequence[Expression | None]) -> Expression | None:
    result: Expression | None = None
    for index, side in enumerate(sides):
        if side is None:
            return None
        result = side if index == 0 or result is None else (operator, result, side)
    return result


def breaking_sizes(
    condition: SizeCondition, dims: Mapping[str, Dim], base: Mapping[str, int]
) -> list[dict[str, int]]:
    """Sizes inside the declared ranges at which a condition does not hold.

    Tried are the ends of the ranges, sizes in steps that grow, and those that follow from the
    numbers in the condition: neighbours, multiples and square roots, in all combinations.

    Args:
        condition: The condition.
        dims: The declared ranges by name.
        base: The example's sizes by name.

    Returns:
        The sizes, those nearest to the example first: they cost little, and a model is likely to
        take them.
    """
    names = sorted(condition.names)
    if not names or any(name not in base for name in names):
        return []
    most = int(_MOST_COMBINED ** (1 / len(names)))
    numbers = [abs(number) for number in condition.numbers]
    choices = [_sizes(dims.get(name, Dim(name)), numbers, base[name], most) for name in names]
    found = [
        dict(zip(names, sizes, strict=True))
        for sizes in itertools.product(*choices)
        if condition.holds(dict(zip(names, sizes, strict=True))) is False
    ]
    return sorted(found, key=lambda sizes: _distance(sizes, base))


def _distance(sizes: Mapping[str, int], base: Mapping[str, int]) -> float:
    """The largest factor between a size and the example's, as a logarithm."""
    return max(abs(math.log((size + 1) / (base[name] + 1))) for name, size in sizes.items())


def _sizes(dim: Dim, numbers: Iterable[int], example: int, most: int) -> list[int]:
    tried = [example, dim.min, dim.min + dim.multiple]
    tried += [] if dim.max is None else [dim.max, dim.max - dim.multiple]
    tried += itertools.chain.from_iterable(_near(number) for number in numbers)
    tried += _GEOMETRIC
    inside = (dim.nearest(size) for number in tried for size in (number, number + dim.multiple))
    return list(dict.fromkeys(size for size in inside if size in dim))[:most]


def _near(number: int) -> Iterator[int]:
    root = math.isqrt(number)
    for size in (number, 2 * number, root, 16 * number):
        yield from (size, size + 1, size - 1)
