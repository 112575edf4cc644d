"""The original model as a function from arrays to arrays: what every later step must equal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from modelport.capture.inputs import BoundInputs, to_numpy
from modelport.capture.status import exporting
from modelport.capture.torch_private import programs
from modelport.errors import RunError

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
        the model itself refuses its inputs.
    """
    import torch

    from modelport.ops.eager import use_references

    scope = _at_export if at_export else nullcontext
    function = model.module() if isinstance(model, torch.export.ExportedProgram) else model

    def reference(arrays: Mapping[str, np.ndarray[Any, Any]]) -> Arrays:
        try:
            with evaluating(function), scope(), torch.no_grad(), use_references():
                result = bound.call(function, arrays)
        except Exception as error:  # the user's model may raise anything
            shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())
            raise RunError(
                f"the PyTorch model fails on {shapes}", why=f"{type(error).__name__}: {error}"
            ) from error
        tensors = flat_outputs(result)
        return {name: to_numpy(tensor) for name, tensor in zip(output_names, tensors, strict=False)}

    return reference


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
