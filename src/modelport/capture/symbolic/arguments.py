"""The arguments of a call, taken apart into tensors, sizes and constants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class TensorSlot:
    """Stands for a tensor."""

    index: int


@dataclass(frozen=True)
class SizeSlot:
    """Stands for a symbolic integer, such as a size of a dynamic dimension."""

    index: int


@dataclass(frozen=True)
class FloatSlot:
    """Stands for a symbolic float, such as ``factor.item()``; it travels as a tensor."""

    index: int


@dataclass(frozen=True)
class Taken:
    """Arguments taken apart.

    Attributes:
        template: The arguments, with a slot wherever something varies from run to run.
        tensors: What the tensor and float slots stand for.
        sizes: What the size slots stand for.
    """

    template: tuple[Any, ...]
    tensors: list[torch.Tensor]
    sizes: list[Any]


def take_apart(args: tuple[Any, ...]) -> Taken:
    """Separates what varies from run to run from what is constant in a call's arguments."""
    tensors: list[torch.Tensor] = []
    sizes: list[Any] = []

    def leaf(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            tensors.append(value)
            return TensorSlot(len(tensors) - 1)
        if isinstance(value, torch.SymInt):
            sizes.append(value)
            return SizeSlot(len(sizes) - 1)
        if isinstance(value, torch.SymFloat):
            number: Any = value  # PyTorch's annotations do not know that this is allowed.
            tensors.append(torch.scalar_tensor(number, dtype=torch.get_default_dtype()))
            return FloatSlot(len(tensors) - 1)
        # A symbolic truth value is specialised, as Python's `if` would do with it.
        return bool(value) if isinstance(value, torch.SymBool) else value

    return Taken(_walk(args, leaf), tensors, sizes)


def put_together(
    template: Any,
    tensor: Callable[[int], Any],
    size: Callable[[int], Any],
    number: Callable[[int], Any],
) -> Any:
    """Fills the slots of a template.

    Args:
        template: What `take_apart` left of the arguments.
        tensor: Gives what a tensor slot stands for.
        size: Gives what a size slot stands for.
        number: Gives what a float slot stands for, by the index of its tensor.

    Returns:
        The arguments.
    """

    def leaf(value: Any) -> Any:
        if isinstance(value, TensorSlot):
            return tensor(value.index)
        if isinstance(value, SizeSlot):
            return size(value.index)
        return number(value.index) if isinstance(value, FloatSlot) else value

    return _walk(template, leaf)


def find_samples(
    template: tuple[Any, ...], args: tuple[Any, ...]
) -> tuple[list[torch.Tensor], list[int]] | None:
    """Reads from a call's real arguments what the slots of a template stand for.

    Args:
        template: What `take_apart` left of the arguments of a traced call.
        args: The arguments of the same call in eager mode.

    Returns:
        Tensors and sizes in the order of their slots; None where the arguments do not fit.
    """
    tensors: dict[int, torch.Tensor] = {}
    sizes: dict[int, int] = {}

    def read(slot: Any, value: Any) -> bool:
        if isinstance(slot, TensorSlot) and isinstance(value, torch.Tensor):
            tensors[slot.index] = value
        elif isinstance(slot, SizeSlot) and isinstance(value, int):
            sizes[slot.index] = value
        elif isinstance(slot, FloatSlot) and isinstance(value, float):
            tensors[slot.index] = torch.tensor(value)
        elif isinstance(slot, list | tuple) and isinstance(value, list | tuple):
            return len(slot) == len(value) and all(map(read, slot, value))
        elif isinstance(slot, dict) and isinstance(value, dict):
            return slot.keys() == value.keys() and all(read(slot[k], value[k]) for k in slot)
        else:
            return not isinstance(slot, TensorSlot | SizeSlot | FloatSlot)
        return True

    if not read(template, args):
        return None
    return [tensors[i] for i in sorted(tensors)], [sizes[i] for i in sorted(sizes)]


def _walk(value: Any, leaf: Callable[[Any], Any]) -> Any:
    if isinstance(value, torch.Size):
        return tuple(leaf(item) for item in value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_walk(item, leaf) for item in value))
    if isinstance(value, list | tuple):
        return type(value)(_walk(item, leaf) for item in value)
    if type(value) is dict:
        return {key: _walk(item, leaf) for key, item in value.items()}
    return leaf(value)
