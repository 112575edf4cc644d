"""Dynamic dimensions of which the example has one are captured with more.

Exporters take a size of 1 for what broadcasts: torch decides ``batch == 1`` where one computed size
meets another, and the graph holds for a batch of one.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch

from modelport.capture.dynamic import DynamicDims
from modelport.capture.inputs import BoundInputs
from modelport.capture.module_snapshot import unchanged
from modelport.capture.reference_function import evaluating


def without_ones(model: Any, bound: BoundInputs, dims: DynamicDims) -> BoundInputs:
    """Example inputs that have more of every dynamic dimension of which they had one.

    Args:
        model: What is captured.
        bound: The example inputs.
        dims: Their dynamic dimensions.

    Returns:
        The inputs, repeated along those dimensions; as they came where there are none, or where
        the model does not take them.
    """
    if not isinstance(model, torch.nn.Module):
        return bound
    tensors = bound.tensors
    sizes: dict[str, set[int]] = {}
    for name, axes in dims.items():
        for axis, dim in axes.items():
            sizes.setdefault(dim.name, set()).add(tensors[name].shape[axis])
    # A size that the example has elsewhere would be taken for the same dimension.
    taken = set().union(*sizes.values())
    size = next(size for size in itertools.count(2) if size not in taken)
    enlarged = {}
    for name, axes in dims.items():
        ones = [axis for axis, dim in axes.items() if sizes[dim.name] == {1} and size in dim]
        if ones:
            enlarged[name] = _repeated(tensors[name], ones, size)
    if not enlarged:
        return bound
    larger = bound.with_examples(enlarged)
    return larger if _is_taken(model, larger) else bound


def _repeated(tensor: torch.Tensor, axes: list[int], times: int) -> torch.Tensor:
    for axis in axes:
        tensor = tensor.repeat_interleave(times, axis)
    return tensor


def _is_taken(model: torch.nn.Module, bound: BoundInputs) -> bool:
    args, kwargs = bound.with_tensors()
    try:
        with torch.no_grad(), evaluating(model), unchanged(model):
            model(*args, **kwargs)
    except Exception:  # noqa: BLE001 - a model refuses sizes with anything
        return False
    return True
