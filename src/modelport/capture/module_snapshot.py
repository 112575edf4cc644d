"""A module's state, which capturing must not change."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def unchanged(model: Any) -> Iterator[None]:
    """Puts a module's state back: attributes, containers that are attributes, buffers.

    A model may remember what it has computed (a grid, a cache, a count of its calls), so that one
    run decides what the next one does, or what is captured. Parameters are taken to stay.

    Args:
        model: The module; anything else is left alone.
    """
    if not isinstance(model, torch.nn.Module):
        yield
        return
    modules = list(model.modules())
    # The attributes of a compiled module are not Python's.
    plain = [module for module in modules if not isinstance(module, torch.jit.ScriptModule)]
    attributes = [(vars(module), dict(vars(module))) for module in plain]
    containers = [
        (value, value.copy())
        for _, before in attributes
        for value in before.values()
        if isinstance(value, dict | list | set)
    ]
    tensors = [
        (tensor, tensor.detach().clone())
        for tensor in _state_tensors(modules, [before for _, before in attributes])
    ]
    try:
        yield
    finally:
        for now, before in attributes:
            _refill(now, before)
        for container, kept in containers:
            _refill(container, kept)
        with torch.no_grad():
            for tensor, value in tensors:
                # Compared by value: batch normalisation changes its statistics without a trace.
                if not torch.equal(tensor, value):
                    tensor.copy_(value)


def _state_tensors(
    modules: list[torch.nn.Module], attributes: list[dict[str, Any]]
) -> list[torch.Tensor]:
    found = [buffer for module in modules for buffer in module.buffers(recurse=False)]
    found += [
        value
        for values in attributes
        for value in values.values()
        if isinstance(value, torch.Tensor) and not isinstance(value, torch.nn.Parameter)
    ]
    return [tensor for tensor in {id(t): t for t in found}.values() if not tensor.is_meta]


def _refill(container: Any, before: Any) -> None:
    """Makes a dict, list or set hold what it held, where it holds something else."""
    if isinstance(container, dict):
        same = list(container) == list(before) and all(
            container[key] is before[key] for key in before
        )
    elif isinstance(container, list):
        same = len(container) == len(before) and all(map(operator.is_, container, before))
    else:
        same = container == before
    if same:
        return
    container.clear()
    if isinstance(container, list):
        container.extend(before)
    else:
        container.update(before)
