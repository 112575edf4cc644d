"""What several of the shipped rewrites need."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor

from modelport.capture.rewriters.conditions import Conditions
from modelport.capture.rewriters.registry import add
from modelport.capture.torch_private.programs import size_hint

F = TypeVar("F", bound=Callable[..., Any])

BOTH = ("dynamo", "trace")


def rewrites(
    *names: str, capture: str | Iterable[str] = BOTH, target: str | Iterable[str] | None = None
) -> Callable[[F], F]:
    """Registers one function for several names of the same operator."""

    def decorate(function: F) -> F:
        conditions = Conditions.parse(target, None, None, capture)
        for name in names:
            add("function", name, function, conditions, shipped=True)
        return function

    return decorate


def is_traced(size: Any) -> bool:
    """Tells whether a size is one that the graph computes.

    The new exporter has ``SymInt`` for a dynamic dimension and a number for a fixed one; the
    tracer has a tensor for each.
    """
    return isinstance(size, torch.SymInt | Tensor)


def is_tracing() -> bool:
    """Tells whether ``torch.jit.trace`` is recording."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


def example_of(size: Any) -> int:
    """The size in the example input; looking does not fix the dimension."""
    return size_hint(size) if isinstance(size, torch.SymInt) else int(size)


def steps_over(size: Any, step: int) -> Any:
    """How many steps cover a size, the last of them in part: a quotient rounded up."""
    return (size + step - 1) // step
