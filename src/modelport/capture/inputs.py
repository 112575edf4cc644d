"""A model's example inputs as named tensors, and back."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modelport.capture.torch_private import programs
from modelport.errors import UsageError
from modelport.findings import Finding, Severity

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class BoundInputs:
    """Example inputs, with a name for every tensor and every Python number in them.

    Numbers (but not booleans, strings or None, which are part of the program) become tensors of
    rank 0 in the graph.

    Attributes:
        args: The example's positional inputs.
        kwargs: The example's inputs by keyword.
        names: Names of the tensors, in the order in which the exporters see them.
        paths: Where each tensor lies in ``(args, kwargs)``, as keys and indices.
        parameters: Names of the model's parameters, in order.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    names: tuple[str, ...]
    paths: tuple[tuple[Any, ...], ...]
    parameters: tuple[str, ...] = ()

    @property
    def tensors(self) -> dict[str, torch.Tensor]:
        """The example's tensors by name; a Python number is a tensor of rank 0."""
        pairs, _ = programs.flatten_with_paths((self.args, dict(self.kwargs)))
        leaves = dict(pairs)
        return {
            name: _as_tensor(leaves[path])
            for name, path in zip(self.names, self.paths, strict=True)
        }

    @property
    def numbers(self) -> tuple[str, ...]:
        """Names of the inputs that are Python numbers."""
        pairs, _ = programs.flatten_with_paths((self.args, dict(self.kwargs)))
        name_of = dict(zip(self.paths, self.names, strict=True))
        return tuple(name_of[path] for path, leaf in pairs if _is_number(leaf))

    def with_tensors(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """``(args, kwargs)`` as exporters are given them: numbers are tensors of rank 0."""
        pairs, structure = programs.flatten_with_paths((self.args, dict(self.kwargs)))
        leaves = [_as_tensor(leaf) if _is_number(leaf) else leaf for _, leaf in pairs]
        args, kwargs = programs.unflatten(leaves, structure)
        return args, kwargs

    @property
    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """The example's tensors by name, as NumPy arrays."""
        return {name: to_numpy(tensor) for name, tensor in self.tensors.items()}

    def call(self, function: Any, arrays: Mapping[str, np.ndarray[Any, Any]]) -> Any:
        """Calls a function as the example would, with other values.

        Args:
            function: A module or function that takes the example's arguments.
            arrays: Arrays by tensor name; a name that is missing keeps the example's tensor.

        Returns:
            What the function returns.
        """
        place = dict(zip(self.paths, self.names, strict=True))
        pairs, structure = programs.flatten_with_paths((self.args, dict(self.kwargs)))
        leaves = [
            _like(leaf, arrays[place[path]]) if place.get(path) in arrays else leaf
            for path, leaf in pairs
        ]
        args, kwargs = programs.unflatten(leaves, structure)
        return function(*args, **kwargs)


def bind_inputs(
    model: Any,
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None = None,
    input_names: Sequence[str] | None = None,
) -> BoundInputs:
    """Names the tensors of example inputs.

    Args:
        model: A module or function; its parameters' names are the default names.
        args: Positional example inputs: tensors, or nested tuples, lists and dicts of them. A
            single tensor stands for itself.
        kwargs: Example inputs by keyword.
        input_names: Names for the tensors, in order; the rest keep their default names.

    Returns:
        The inputs with their names.

    Raises:
        UsageError: The inputs do not fit the model's parameters, or the names the inputs.
    """
    import torch

    args = (args,) if isinstance(args, torch.Tensor) else tuple(args)
    kwargs = dict(kwargs or {})
    pairs, _ = programs.flatten_with_paths((args, kwargs))
    paths = tuple(
        path for path, leaf in pairs if isinstance(leaf, torch.Tensor) or _is_number(leaf)
    )
    parameters = _parameter_names(model, args, kwargs)
    names = [_default_name(path, parameters) for path in paths]
    for index, name in enumerate(input_names or ()):
        if index >= len(names):
            raise UsageError(
                f"{len(list(input_names or ()))} input names for {len(names)} tensor inputs",
                fix=f"the tensors are: {', '.join(names) or 'none'}",
            )
        names[index] = name
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UsageError(f"two inputs have the name {', '.join(map(repr, repeated))}")
    return BoundInputs(args, kwargs, tuple(names), paths, tuple(parameters))


def number_findings(bound: BoundInputs) -> list[Finding]:
    """One note for every Python number among the inputs."""
    return [
        Finding(
            "number-as-input",
            Severity.NOTE,
            f"the Python number {name!r} is a tensor of rank 0 in the graph",
            where=name,
            fix="bind it with functools.partial to make it a constant",
        )
        for name in bound.numbers
    ]


def to_numpy(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    """A tensor's values as a NumPy array of the same dtype (bfloat16 as in ml_dtypes)."""
    import torch

    tensor = tensor.detach().cpu().contiguous()
    if tensor.dtype is torch.bfloat16:
        import ml_dtypes

        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def from_numpy(array: np.ndarray[Any, Any]) -> torch.Tensor:
    """The inverse of `to_numpy`; the values are copied."""
    import torch

    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(np.array(array))


def _is_number(leaf: Any) -> bool:
    return isinstance(leaf, int | float) and not isinstance(leaf, bool)


def _as_tensor(leaf: Any) -> torch.Tensor:
    import torch

    return leaf if isinstance(leaf, torch.Tensor) else torch.tensor(leaf)


def _like(leaf: Any, array: np.ndarray[Any, Any]) -> Any:
    """An array as what it stands for: a tensor, or a Python number."""
    return array.item() if _is_number(leaf) else from_numpy(array)


def _parameter_names(model: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[str]:
    """Names of the parameters that the positional arguments fill."""
    import torch

    # An exported program itself takes anything; its module has the original's parameters.
    program = isinstance(model, torch.export.ExportedProgram)
    function = getattr(model.module() if program else model, "forward", model)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return []
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise UsageError(
            f"the example inputs do not fit {type(model).__name__}.forward{signature}",
            why=str(error),
            fix="give args (a tuple) and kwargs as forward takes them",
        ) from error
    names: list[str] = []
    for parameter in signature.parameters.values():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            names += [f"{parameter.name}_{index}" for index in range(len(args) - len(names))]
            break
        names.append(parameter.name)
    return names


def _default_name(path: tuple[Any, ...], parameters: Sequence[str]) -> str:
    where, first, *rest = path
    if where == 0:
        first = parameters[first] if first < len(parameters) else f"input_{first}"
    return "_".join(str(step) for step in (first, *rest))
