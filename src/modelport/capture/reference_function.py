"""The original model as a function from arrays to arrays: what every later step must equal."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modelport.arrays import Array, Arrays, to_numpy
from modelport.capture.export_flag import exporting
from modelport.capture.inputs import BoundInputs
from modelport.capture.torch_private import programs
from modelport.errors import ExportError, RunError
from modelport.numerics import compare_outputs, tolerance_for

if TYPE_CHECKING:
    import torch


def torch_reference(
    model: Any, bound: BoundInputs, output_names: Sequence[str]
) -> Callable[[Mapping[str, Array]], Arrays]:
    """The model in PyTorch's eager mode, on arrays.

    The model is told that it is being exported, by `modelport.is_exporting` and torch's own
    functions.

    Args:
        model: The module (run in evaluation mode), or an exported program.
        bound: Example inputs; arrays replace their tensors by name.
        output_names: Names for the tensors that the model returns, in order.

    Returns:
        A function from arrays by input name to arrays by output name. It raises `RunError` where
        the model itself refuses its inputs, and `ExportError` where it returns another number of
        tensors than there are names.
    """

    def reference(arrays: Mapping[str, Array]) -> Arrays:
        with _at_export():
            return _as_arrays(_run(model, bound, arrays)[0], output_names, arrays)

    return reference


def float64_reference(
    model: Any, bound: BoundInputs, output_names: Sequence[str]
) -> Callable[[Mapping[str, Array]], Arrays | None]:
    """The model with float64 in place of float32: its result without most of its rounding.

    Args:
        model: As for `torch_reference`; a copy of it is made at the first call.
        bound: Example inputs.
        output_names: Names for the tensors that the model returns, in order.

    Returns:
        A function as that of `torch_reference`; it gives None where the model cannot be copied, or
        does not compute in float64.
    """
    import torch

    @functools.cache
    def in_float64() -> Any:
        return copy.deepcopy(model).double()

    def reference(arrays: Mapping[str, Array]) -> Arrays | None:
        if not isinstance(model, torch.nn.Module):
            return None
        wider = {
            name: array.astype(np.float64) if array.dtype == np.float32 else array
            for name, array in arrays.items()
        }
        try:
            return torch_reference(in_float64(), bound, output_names)(wider)
        except Exception:  # noqa: BLE001 - modules need not take other dtypes, nor be copied
            return None

    return reference


def count_outputs(model: Any, bound: BoundInputs) -> int:
    """How many tensors a model returns on its example, told that it is being exported.

    Args:
        model: As for `torch_reference`.
        bound: Example inputs.

    Raises:
        RunError: The model refuses its example.
    """
    with _at_export():
        return len(_run(model, bound, bound.arrays)[0])


@dataclass(frozen=True)
class PlainRun:
    """What the model makes of its example when it is not told that it is being exported.

    Attributes:
        outputs: Arrays by output name.
        aliases: For each output that shares its memory with an input, the input's name.
        strides: Strides of each output that is not contiguous, and has memory of its own.
    """

    outputs: Arrays
    aliases: Mapping[str, str]
    strides: Mapping[str, tuple[int, ...]]


def run_plainly(model: Any, bound: BoundInputs, output_names: Sequence[str]) -> PlainRun:
    """Runs the model on its example, and looks at the memory of what it returns.

    Args:
        model: As for `torch_reference`.
        bound: Example inputs.
        output_names: Names for the tensors that the model returns, in order.

    Raises:
        RunError: The model refuses its example.
    """
    tensors, inputs = _run(model, bound, bound.arrays)
    memory = {tensor.untyped_storage().data_ptr(): name for name, tensor in inputs.items()}
    aliases, strides = {}, {}
    outputs = _as_arrays(tensors, output_names, bound.arrays)
    for name, tensor in zip(output_names, tensors, strict=True):
        owner = memory.get(tensor.untyped_storage().data_ptr()) if tensor.numel() else None
        if owner is not None:
            aliases[name] = owner
        elif not tensor.is_contiguous():
            strides[name] = tuple(tensor.stride())
    return PlainRun(outputs, aliases, strides)


_BY_REFERENCES: ContextVar[bool] = ContextVar("by references", default=False)


@contextmanager
def running_by_references() -> Iterator[None]:
    """Switches operators to their references once for all runs of reference models in it.

    Engines must not run in it: what is compared with a kernel must not come from the reference.
    """
    from modelport.ops.torch_op import use_references

    token = _BY_REFERENCES.set(True)
    try:
        with use_references():
            yield
    finally:
        _BY_REFERENCES.reset(token)


def _run(
    model: Any, bound: BoundInputs, arrays: Mapping[str, Array]
) -> tuple[list[torch.Tensor], dict[str, torch.Tensor]]:
    """The tensors that the model returns, and those that it was given."""
    import torch

    from modelport.ops.torch_op import use_references

    function = model.module() if isinstance(model, torch.export.ExportedProgram) else model
    given: dict[str, torch.Tensor] = {}

    def call(*args: Any, **kwargs: Any) -> Any:
        leaves = dict(programs.flatten_with_paths((args, kwargs))[0])
        for name, path in zip(bound.names, bound.paths, strict=True):
            if isinstance(leaves[path], torch.Tensor):
                given[name] = leaves[path]
        return function(*args, **kwargs)

    switch = contextlib.nullcontext() if _BY_REFERENCES.get() else use_references()
    try:
        with evaluating(function), torch.no_grad(), switch:
            return flat_outputs(bound.call(call, arrays)), given
    except Exception as error:  # the user's model may raise anything
        raise RunError(
            f"the PyTorch model fails on {_shapes(arrays)}", why=f"{type(error).__name__}: {error}"
        ) from error


def _as_arrays(
    tensors: Sequence[torch.Tensor],
    names: Sequence[str],
    arrays: Mapping[str, Array],
) -> Arrays:
    if len(tensors) != len(names):
        raise ExportError(
            f"the model returns {len(tensors)} tensors on {_shapes(arrays)}, and its graph has "
            f"{len(names)} outputs",
            why="a graph has a fixed number of outputs",
            fix="return as many tensors whatever the inputs are: stack those of a list that grows",
        )
    return {name: to_numpy(tensor) for name, tensor in zip(names, tensors, strict=True)}


def draws_by_chance(
    reference: Callable[[Mapping[str, Array]], Arrays],
    arrays: Mapping[str, Array],
) -> bool:
    """Whether a model's results on the same inputs depend on torch's random numbers alone.

    Args:
        reference: What `torch_reference` gives.
        arrays: Its inputs.
    """
    import torch

    results = []
    for seed in (0, 1, 0):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            results.append(reference(arrays))
    first, other, again = results
    return not agree(first, other) and agree(first, again)


def agree(one: Arrays, other: Arrays) -> bool:
    """Whether outputs of two runs are the same within the tolerances of their dtypes."""
    return all(comparison.ok for comparison in compare_outputs(one, other, tolerance_for))


def _shapes(arrays: Mapping[str, Array]) -> str:
    return ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())


@contextmanager
def _at_export() -> Iterator[None]:
    with exporting(), programs.seeming_to_export():
        yield


def flat_outputs(result: Any) -> list[torch.Tensor]:
    """The tensors that a model returned, in the order in which exporters see them."""
    import torch

    pairs, _ = programs.flatten_with_paths(result)
    return [
        leaf if isinstance(leaf, torch.Tensor) else torch.as_tensor(leaf)
        for _, leaf in pairs
        if isinstance(leaf, torch.Tensor | int | float | bool)
    ]


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Puts a module into evaluation mode; every submodule's own mode comes back afterwards."""
    import torch

    if not isinstance(model, torch.nn.Module) or isinstance(model, torch.fx.GraphModule):
        yield
        return
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
