"""Tensors of a case: flattened, changed, compared and described."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch

from modelport.arrays import Array
from modelport.numerics import compare_outputs, tolerance_for
from modelport.ops.shapes import DataDependent, TensorInfo

Item = torch.Tensor | list[torch.Tensor] | tuple[torch.Tensor, ...] | None
"""An input of an operator: a tensor, a list of tensors, or an optional one that is absent."""

Tensors = tuple[torch.Tensor, ...]

S = TypeVar("S")
T = TypeVar("T")


def differences(expected: Sequence[torch.Tensor], actual: Sequence[torch.Tensor]) -> list[str]:
    """Differences between actual and expected outputs, as text; empty if there are none."""
    if len(expected) != len(actual):
        return [f"{len(actual)} outputs instead of {len(expected)}"]
    wrong = []
    for index, (reference, found) in enumerate(zip(expected, actual, strict=True)):
        if found.dtype != reference.dtype:
            wrong.append(f"output {index}: {found.dtype} instead of {reference.dtype}")
            continue
        dtype = str(reference.dtype).removeprefix("torch.")
        compared = compare_outputs(
            {f"{index}": _numpy(reference)},
            {f"{index}": _numpy(found)},
            lambda _, dtype=dtype: tolerance_for(dtype),  # type: ignore[misc]
        )
        wrong += [str(item) for item in compared if not item.ok]
    return wrong


def _numpy(tensor: torch.Tensor) -> Array:
    tensor = tensor.detach()
    # NumPy has no bfloat16, and comparing in float16 would overflow.
    if tensor.dtype in (torch.bfloat16, torch.float16):
        tensor = tensor.float()
    return np.asarray(tensor.numpy())


def strided(inputs: Sequence[Item]) -> list[Item]:
    """Non-contiguous copies of tensors."""

    def spread(tensor: torch.Tensor) -> torch.Tensor:
        wide = torch.zeros([2 * size for size in tensor.shape], dtype=tensor.dtype)
        view = wide[tuple(slice(None, None, 2) for _ in tensor.shape)]
        return view.copy_(tensor)

    return [map_item(item, spread) for item in inputs]


@contextmanager
def unwritten_memory_marked() -> Iterator[None]:
    """Context in which PyTorch fills new memory with NaN or the highest number.

    Otherwise an output that a kernel does not write may hold what was right a moment before.
    """
    before = torch.are_deterministic_algorithms_enabled()
    only_warn = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=only_warn)


def map_item(
    item: S | list[S] | tuple[S, ...] | None, function: Callable[[S], T]
) -> T | list[T] | None:
    """Applies a function to a tensor, to every tensor of a list, or to None."""
    if item is None:
        return None
    if isinstance(item, list | tuple):
        return [function(tensor) for tensor in item]
    return function(item)


def flat(items: Sequence[Item]) -> Iterator[torch.Tensor]:
    """All tensors of the inputs, those of lists one after the other."""
    for item in items:
        if isinstance(item, list | tuple):
            yield from item
        elif item is not None:
            yield item


def wide(item: Item) -> Item:
    """A tensor in float64; integers are not changed.

    Values of 16 bits lie on a coarse grid, where functions often have their kinks, at which a
    gradient is a matter of choice: they are moved off it by a thousandth.
    """
    return map_item(item, _wide)


def _wide(tensor: torch.Tensor) -> torch.Tensor:
    if not tensor.is_floating_point():
        return tensor
    moved = tensor.double()
    if tensor.element_size() == 2:
        generator = torch.Generator().manual_seed(0)
        moved = moved + 1e-3 * torch.rand(moved.shape, generator=generator, dtype=moved.dtype)
    return moved


def with_leaves(inputs: Sequence[Item], leaves: Sequence[torch.Tensor]) -> list[Item]:
    """Inputs whose floating-point tensors are replaced, in order."""
    remaining = iter(leaves)
    return [
        map_item(item, lambda tensor: next(remaining) if tensor.is_floating_point() else tensor)
        for item in inputs
    ]


def as_tuple(outputs: torch.Tensor | list[torch.Tensor] | Tensors) -> Tensors:
    """Outputs as a tuple, also if there is one."""
    return tuple(outputs) if isinstance(outputs, list | tuple) else (outputs,)


def fits(info: TensorInfo, found: TensorInfo) -> bool:
    """Return True if a tensor has the dtype and shape of the shape rule."""
    return (
        info.dtype == found.dtype
        and len(info.shape) == len(found.shape)
        and all(map(_fits, info.shape, found.shape))
    )


def _fits(rule: object, size: int) -> bool:
    if isinstance(rule, DataDependent):
        return rule.bound is None or size <= rule.bound
    return bool(rule == size)


def described(item: Item) -> str:
    """Dtype and shape, for people."""
    if item is None:
        return "none"
    if isinstance(item, list | tuple):
        return f"[{', '.join(map(described, item))}]"
    return f"{str(item.dtype).removeprefix('torch.')}{list(item.shape)}"
