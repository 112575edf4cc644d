"""The private parts of PyTorch that operators need; ``capture/torch_private`` has the others.

tests/ops/test_torch_private.py fails where one has moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from modelport.errors import OperatorError

TESTED_TORCH = "2.13, 2.14 or 2.15"
"""The releases of PyTorch that these accesses were tested with."""


def is_overload(thing: Any) -> bool:
    """Whether something is an operator of PyTorch's dispatcher, with its overload chosen."""
    return hasattr(thing, "_schema")


def arguments(overload: Any) -> Sequence[Any]:
    """The arguments of an operator's schema: name, type, default_value, kwarg_only."""
    found: Sequence[Any] = overload._schema.arguments
    return found


def returns(overload: Any) -> Sequence[Any]:
    """What an operator gives, by its schema: name, type."""
    found: Sequence[Any] = overload._schema.returns
    return found


def below_autograd() -> Any:
    """The context in which an operator runs without the part that keeps gradients.

    PyTorch's own Python kernels for the key ``Autograd`` use it.

    Raises:
        OperatorError: This PyTorch has no such thing.
    """
    guard = getattr(torch._C, "_AutoDispatchBelowAutograd", None)
    if guard is None:
        raise OperatorError(
            f"torch {torch.__version__} has no torch._C._AutoDispatchBelowAutograd",
            why="operators with a gradient formula need it",
            fix=f"install torch {TESTED_TORCH}, or a modelport made for this torch",
        )
    return guard
