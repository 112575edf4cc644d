"""Sizes of TensorRT as numbers that a shape rule computes with, for plugins in Python."""

from __future__ import annotations

from typing import Any

from modelport.errors import OperatorError
from modelport.ops.declaration import Operator


class Sizes:
    """Sizes of TensorRT as numbers that a shape rule can compute with."""

    def __init__(self, builder: Any, tensorrt: Any, operator: Operator) -> None:
        self.builder = builder
        self.operations = tensorrt.DimensionOperation
        self.operator = operator

    def of(self, expression: Any) -> Any:
        """A number where the size is known, else a `Size`."""
        return (
            expression.get_constant_value() if expression.is_constant() else Size(self, expression)
        )

    def expression(self, number: Any) -> Any:
        """The expression of a number."""
        return number.expression if isinstance(number, Size) else self.builder.constant(int(number))


class Size:
    """A size that is not known yet; what is made of it is an expression of TensorRT."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, sizes: Sizes, expression: Any) -> None:
        self._sizes = sizes
        self.expression = expression

    def _made(self, operation: Any, first: Any, second: Any) -> Any:
        a, b = self._sizes.expression(first), self._sizes.expression(second)
        return self._sizes.of(self._sizes.builder.operation(operation, a, b))

    def __add__(self, other: Any) -> Any:
        return self._made(self._sizes.operations.SUM, self, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._made(self._sizes.operations.SUB, self, other)

    def __rsub__(self, other: Any) -> Any:
        return self._made(self._sizes.operations.SUB, other, self)

    def __mul__(self, other: Any) -> Any:
        return self._made(self._sizes.operations.PROD, self, other)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        return self._made(self._sizes.operations.FLOOR_DIV, self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._made(self._sizes.operations.FLOOR_DIV, other, self)

    def __neg__(self) -> Any:
        return 0 - self

    def _asked(self, other: Any) -> Any:
        raise too_much(self._sizes.operator, "its shape rule compares sizes")

    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _asked


def too_much(operator: Operator, why: str) -> OperatorError:
    """The error of an operator that no plugin in Python can be."""
    return OperatorError(
        f"{operator.qualified_name} cannot be a Python plugin",
        where=str(operator.folder),
        why=why,
        fix="build a library of plugins: modelport ops build --tensorrt",
    )
