"""Tensors without data, symbolic sizes, and kernels that work on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch

from modelport.capture.torch_private.access import resolve


def fake_shape_env() -> Any:
    """The shape environment of the fake kernel that is running; None where shapes are static."""
    resolve("fake context")
    context: Any = torch.library.get_ctx()
    return context._shape_env


def ignore_fresh_symbols(shape_env: Any) -> AbstractContextManager[Any]:
    """Allows data-dependent sizes to appear and be dropped again."""
    resolve("fresh symbols")
    manager: AbstractContextManager[Any] = shape_env.ignore_fresh_unbacked_symbols()
    return manager


def unbacked_symbols(things: Any) -> set[Any]:
    """The symbols of data-dependent sizes in sizes or tensors."""
    return set(resolve("unbacked symbols")(things))


def size_expression(size: int | torch.SymInt) -> Any:
    """The sympy expression of a symbolic size, or the size itself."""
    return size.node.expr if isinstance(size, torch.SymInt) else size


def is_fake(tensor: object) -> bool:
    """Whether a tensor has a shape and no data."""
    return isinstance(tensor, resolve("fake tensor"))


def change_count(tensor: torch.Tensor) -> int:
    """How often a tensor was written to in place."""
    return tensor._version


def has_fake_kernel(op: Any) -> bool:
    """Whether an operator can be traced without data."""
    name = op.name()
    definition = resolve("custom operators").get(name)
    if definition is not None:
        return definition._abstract_fn is not None
    if resolve("library registry")(name).fake_impl.kernel is not None:
        return True
    keys = ("Meta", "CompositeImplicitAutograd", "CompositeExplicitAutograd")
    return any(resolve("kernel lookup")(name, key) for key in keys)


def without_modes() -> AbstractContextManager[Any]:
    """Runs operators on real tensors, although a model is being captured."""
    manager: AbstractContextManager[Any] = resolve("no modes")()
    return manager


@contextmanager
def fake_kernel(op: Any, fake: Callable[..., Any]) -> Iterator[None]:
    """Gives an operator a fake kernel, for the block only."""
    definition = resolve("custom operators").get(op.name())
    if definition is not None:
        # Declared with torch.library.custom_op, which already has one that raises.
        before = definition._abstract_fn
        definition._abstract_fn = fake
        try:
            yield
        finally:
            definition._abstract_fn = before
        return
    with resolve("scoped library")(op.namespace, "FRAGMENT") as library:
        torch.library.register_fake(op.name(), fake, lib=library)
        yield
