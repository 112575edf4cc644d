"""The operators that were declared in this process, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelport.errors import OperatorError

if TYPE_CHECKING:
    from modelport.ops.declaration import Operator

_declared: dict[str, Operator] = {}


def require_addable(operator: Operator) -> None:
    """Raises `OperatorError` where another operator has this name."""
    known = _declared.get(operator.qualified_name)
    if known is not None and known.schema != operator.schema:
        raise OperatorError(
            f"{operator.qualified_name} is declared twice, with different signatures",
            why=f"{known.schema.to_torch()} in {known.folder}, "
            f"{operator.schema.to_torch()} in {operator.folder}",
            fix="give one of them another name",
        )


def add(operator: Operator) -> None:
    """Remembers an operator; one that is declared again, unchanged in its schema, is replaced.

    Raises:
        OperatorError: Another operator has this name.
    """
    require_addable(operator)
    _declared[operator.qualified_name] = operator


def find(qualified_name: str) -> Operator | None:
    """The operator of this name, or None."""
    return _declared.get(qualified_name)


def declared(domain: str | None = None) -> list[Operator]:
    """The operators declared so far, of one domain or of all, by name."""
    return [
        operator
        for name, operator in sorted(_declared.items())
        if domain is None or operator.schema.domain == domain
    ]
