"""Operators: their schemas, and what runs of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from modelport.capture.torch_private.access import resolve


def in_dispatcher(op: Any) -> bool:
    """Whether an overload can be called; some exist for TorchScript only."""
    return bool(resolve("dispatcher")(op.name()))


def new_library(namespace: str) -> Any:
    """A namespace for operators; PyTorch's own type of it has no annotations."""
    create: Any = torch.library.Library
    return create(namespace, "DEF")


def parameters(op: Any) -> list[tuple[str, Any]]:
    """Names and defaults of an operator's parameters; None where there is no default."""
    arguments = op._schema.arguments
    return [(a.name, a.default_value if a.has_default_value() else None) for a in arguments]


def parameter_names(op: Any) -> list[str]:
    """Names of an operator's parameters."""
    return [name for name, _ in parameters(op)]


def positional_count(op: Any) -> int:
    """How many of an operator's parameters may be passed by position."""
    return sum(not argument.kwarg_only for argument in op._schema.arguments)


def mutates(op: Any) -> bool:
    """Whether an operator writes to its arguments."""
    return bool(op._schema.is_mutable)


def return_count(op: Any) -> int | None:
    """How many tensors an operator returns; None where it returns a list."""
    returns = op._schema.returns
    if len(returns) == 1 and str(returns[0].type).startswith("List"):
        return None
    return len(returns)


def returns_one_tensor(op: Any) -> bool:
    """Whether an operator returns one tensor, neither a tuple nor a list."""
    return return_count(op) == 1


def tree_map(function: Callable[[Any], Any], tree: Any) -> Any:
    """Applies a function to every leaf of nested containers."""
    return resolve("tree map")(function, tree)


def watch_operators(
    seen: Callable[[Any, tuple[Any, ...], dict[str, Any]], None],
) -> AbstractContextManager[Any]:
    """Calls ``seen(op, args, kwargs)`` before every operator that PyTorch runs."""
    base = resolve("dispatch mode")

    class Watch(base):  # type: ignore[misc, valid-type]
        def __torch_dispatch__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
        ) -> Any:
            seen(func, args, kwargs or {})
            return func(*args, **(kwargs or {}))

    watch: AbstractContextManager[Any] = Watch()
    return watch
