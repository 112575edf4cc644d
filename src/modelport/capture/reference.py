"""The original model as a function from arrays to arrays: what every later step must equal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from modelport.capture.inputs import BoundInputs, to_numpy
from modelport.capture.status import exporting
from modelport.capture.torch_private import programs
from modelport.errors import ExportError, RunError
from modelport.proof import compare_outputs, tolerance_for

if TYPE_CHECKING:
    import torch

Arrays = dict[str, np.ndarray[Any, Any]]


def torch_reference(
    model: Any, bound: BoundInputs, output_names: Sequence[str], *, at_export: bool = True
) -> Callable[[Mapping[str, np.ndarray[Any, Any]]], Arrays]:
    """The model in PyTorch's eager mode, on arrays.

    Args:
        model: The module (run in evaluation mode), or an exported program.
        bound: Example inputs; arrays replace their tensors by name.
        output_names: Names for the tensors that the model returns, in order.
        at_export: Whether the model is told that it is being exported, by
            `modelport.is_exporting` and torch's own functions.

    Returns:
        A function from arrays by input name to arrays by output name. It raises `RunError` where
        the model itself refuses its inputs, and `ExportError` where it returns another number of
        tensors than there are names.
    """
    import torch

    scope = _at_export if at_export else nullcontext
    function = model.module() if isinstance(model, torch.export.ExportedProgram) else model

    def reference(arrays: Mapping[str, np.ndarray[Any, Any]]) -> Arrays:
        try:
            with evaluating(function), scope(), torch.no_grad():
                result = bound.call(function, arrays)
        except Exception as error:  # the user's model may raise anything
            raise RunError(
                f"the PyTorch model fails on {_shapes(arrays)}",
                why=f"{type(error).__name__}: {error}",
            ) from error
        tensors = flat_outputs(result)
        if len(tensors) != len(output_names):
            raise ExportError(
                f"the model returns {len(tensors)} tensors on {_shapes(arrays)}, and its graph has "
                f"{len(output_names)} outputs",
                why="a graph has a fixed number of outputs",
                fix="return as many tensors whatever the inputs are: stack those of a list that "
                "grows",
            )
        return {name: to_numpy(tensor) for name, tensor in zip(output_names, tensors, strict=True)}

    return reference


def draws_by_chance(
    reference: Callable[[Mapping[str, np.ndarray[Any, Any]]], Arrays],
    arrays: Mapping[str, np.ndarray[Any, Any]],
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
    return not _same(first, other) and _same(first, again)


def _same(one: Arrays, other: Arrays) -> bool:
    return all(comparison.ok for comparison in compare_outputs(one, other, tolerance_for))


def _shapes(arrays: Mapping[str, np.ndarray[Any, Any]]) -> str:
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
