"""Conditions on sizes, such as ``height * width <= 4096``: what a graph assumes, as data."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Expression = int | str | tuple[str, "Expression", "Expression"]
"""A whole number, the name of a size, or an operator (``+ - * // %``) and two expressions."""

LONGEST, DEEPEST, LARGEST = 1000, 32, 2**63 - 1
"""Limits of what is read: characters, nesting, and numbers at every step of a computation."""

_COMPARISONS: Mapping[str, Callable[[int, int], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_OPERATIONS: Mapping[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
}
_LEVELS = (("+", "-"), ("*", "//", "%"))
"""Operators by how tightly they bind, the loosest first."""
_TOKEN = re.compile(r" *([0-9]+|[A-Za-z_][A-Za-z0-9_.]*|//|==|!=|<=|>=|[-+*%<>()])")


@dataclass(frozen=True)
class SizeCondition:
    """A comparison of two expressions over sizes.

    It is computed in whole numbers of 64 bits; ``//`` rounds down and ``%`` has the sign of its
    right side, as in Python.

    Attributes:
        comparison: One of ``== != < <= > >=``.
        left: The expression on the left.
        right: The expression on the right.
    """

    comparison: str
    left: Expression
    right: Expression

    @classmethod
    def parse(cls, text: str) -> SizeCondition:
        """Reads the text that `str` writes.

        Raises:
            ValueError: It is none, or longer or deeper than the limits.
        """
        return _Parser(text).condition()

    @property
    def names(self) -> frozenset[str]:
        """Names of the sizes that it compares."""
        return frozenset(_names(self.left)) | frozenset(_names(self.right))

    @property
    def numbers(self) -> frozenset[int]:
        """Whole numbers that stand in it."""
        return frozenset(_numbers(self.left)) | frozenset(_numbers(self.right))

    def holds(self, sizes: Mapping[str, int]) -> bool | None:
        """Computes both sides at some sizes and compares them.

        Args:
            sizes: Sizes by name.

        Returns:
            The comparison; None where it has no value: a size is missing, a division is by zero,
            or a number is larger than 64 bits hold.
        """
        left, right = _compute(self.left, sizes), _compute(self.right, sizes)
        if left is None or right is None:
            return None
        return _COMPARISONS[self.comparison](left, right)

    def __str__(self) -> str:
        return f"{_text(self.left)} {self.comparison} {_text(self.right)}"


def _names(expression: Expression) -> list[str]:
    if isinstance(expression, tuple):
        return [*_names(expression[1]), *_names(expression[2])]
    return [expression] if isinstance(expression, str) else []


def _numbers(expression: Expression) -> list[int]:
    if isinstance(expression, tuple):
        return [*_numbers(expression[1]), *_numbers(expression[2])]
    return [expression] if isinstance(expression, int) else []


def _compute(expression: Expression, sizes: Mapping[str, int]) -> int | None:
    if isinstance(expression, int):
        return expression
    if isinstance(expression, str):
        return sizes.get(expression)
    operator, *sides = expression
    left, right = (_compute(side, sizes) for side in sides)
    if left is None or right is None or (right == 0 and operator in ("//", "%")):
        return None
    result = _OPERATIONS[operator](left, right)
    return result if -LARGEST <= result <= LARGEST else None


def _level(operator: str) -> int:
    return next(level for level, operators in enumerate(_LEVELS) if operator in operators)


def _text(expression: Expression, least: int = 0) -> str:
    """The text, in parentheses where its operator binds less tightly than `least`."""
    if not isinstance(expression, tuple):
        return str(expression)
    operator, left, right = expression
    level = _level(operator)
    text = f"{_text(left, level)} {operator} {_text(right, level + 1)}"
    return f"({text})" if level < least else text


class _Parser:
    """Reads a condition by recursive descent."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise ValueError(f"a condition of {len(text)} characters is longer than {LONGEST}")
        self._text = text
        self._tokens = self._read()
        self._at = 0

    def _read(self) -> list[str]:
        tokens, at = [], 0
        text = self._text.rstrip(" ")
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise ValueError(f"{self._text!r} is not a condition on sizes")
            tokens.append(match[1])
            at = match.end()
        return tokens

    def condition(self) -> SizeCondition:
        left = self._sum(0, 0)
        comparison = self._next()
        if comparison not in _COMPARISONS:
            raise ValueError(f"{self._text!r} has no comparison where one is expected")
        right = self._sum(0, 0)
        if self._at < len(self._tokens):
            raise ValueError(f"{self._text!r} goes on after its comparison")
        return SizeCondition(comparison, left, right)

    def _next(self) -> str:
        if self._at >= len(self._tokens):
            raise ValueError(f"{self._text!r} ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _sum(self, level: int, depth: int) -> Expression:
        if depth > DEEPEST:
            raise ValueError(f"a condition is nested more than {DEEPEST} deep")
        if level == len(_LEVELS):
            return self._leaf(depth)
        expression = self._sum(level + 1, depth)
        count = 0
        while self._peek() in _LEVELS[level]:
            count += 1
            if depth + count > DEEPEST:
                raise ValueError(f"a condition is nested more than {DEEPEST} deep")
            expression = (self._next(), expression, self._sum(level + 1, depth + 1))
        return expression

    def _leaf(self, depth: int) -> Expression:
        token = self._next()
        if token == "(":
            expression = self._sum(0, depth + 1)
            if self._next() != ")":
                raise ValueError(f"{self._text!r} has a parenthesis that is not closed")
            return expression
        if token == "-":
            number = self._next()
            if not number.isdecimal():
                raise ValueError(f"{self._text!r} has a minus that no number follows")
            return -self._number(number)
        if token.isdecimal():
            return self._number(token)
        if token[0].isalpha() or token[0] == "_":
            return token
        raise ValueError(f"{self._text!r} has {token!r} where a number or a name is expected")

    def _number(self, token: str) -> int:
        if len(token) > 19 or int(token) > LARGEST:
            raise ValueError(f"{self._text!r} has a number of more than 64 bits")
        return int(token)
