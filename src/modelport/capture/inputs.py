"""A model's example inputs as named tensors, and back."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelport.arrays import Array, Arrays, from_numpy, to_numpy
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
        signature: The signature of the model's forward; None where it has none.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    names: tuple[str, ...]
    paths: tuple[tuple[Any, ...], ...]
    signature: inspect.Signature | None = None

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

    def with_examples(self, tensors: Mapping[str, torch.Tensor]) -> BoundInputs:
        """The same inputs with other example tensors.

        Args:
            tensors: Tensors by name; a name that is missing keeps its own.
        """
        place = dict(zip(self.paths, self.names, strict=True))
        pairs, structure = programs.flatten_with_paths((self.args, dict(self.kwargs)))
        leaves = [tensors.get(place.get(path, ""), leaf) for path, leaf in pairs]
        args, kwargs = programs.unflatten(leaves, structure)
        return dataclasses.replace(self, args=args, kwargs=kwargs)

    def by_parameter(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments in the structure of the example's, by the parameter of forward that gets them.

        What ``*args`` gets is a tuple and what ``**kwargs`` gets a dict, as torch has it.
        """
        return _by_parameter(self.signature, args, kwargs)

    @property
    def parameter_paths(self) -> dict[str, tuple[Any, ...]]:
        """Where each tensor lies in what `by_parameter` gives, in the order of the signature."""
        places = _places(self.signature, self.args, self.kwargs, self.paths)
        return {self.names[index]: place for index, place in places.items()}

    @property
    def arrays(self) -> Arrays:
        """The example's tensors by name, as NumPy arrays."""
        return {name: to_numpy(tensor) for name, tensor in self.tensors.items()}

    def call(self, function: Any, arrays: Mapping[str, Array]) -> Any:
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
    signature = _signature(model, args, kwargs)
    places = _places(signature, args, kwargs, paths)
    names = [_default_name(places[index], signature) for index in range(len(paths))]
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
    return BoundInputs(args, kwargs, tuple(names), paths, signature)


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


def _is_number(leaf: Any) -> bool:
    return isinstance(leaf, int | float) and not isinstance(leaf, bool)


def _as_tensor(leaf: Any) -> torch.Tensor:
    import torch

    return leaf if isinstance(leaf, torch.Tensor) else torch.tensor(leaf)


def _like(leaf: Any, array: Array) -> Any:
    """An array as what it stands for: a tensor, or a Python number."""
    return array.item() if _is_number(leaf) else from_numpy(array)


def _signature(
    model: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> inspect.Signature | None:
    """The signature of forward, which must take the arguments."""
    import torch

    # An exported program itself takes anything; its module has the original's parameters.
    program = isinstance(model, torch.export.ExportedProgram)
    function = getattr(model.module() if program else model, "forward", model)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise UsageError(
            f"the example inputs do not fit {type(model).__name__}.forward{signature}",
            why=str(error),
            fix="give args (a tuple) and kwargs as forward takes them",
        ) from error
    return signature


def _by_parameter(
    signature: inspect.Signature | None, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    if signature is None:
        return {**{f"input_{index}": arg for index, arg in enumerate(args)}, **kwargs}
    return dict(signature.bind(*args, **kwargs).arguments)


def _places(
    signature: inspect.Signature | None,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    paths: Sequence[tuple[Any, ...]],
) -> dict[int, tuple[Any, ...]]:
    """By the index of a path in ``(args, kwargs)``: the path by parameter, in their order."""
    pairs, structure = programs.flatten_with_paths((args, dict(kwargs)))
    index_of = {path: index for index, path in enumerate(paths)}
    indices = programs.unflatten([index_of.get(path, -1) for path, _ in pairs], structure)
    placed, _ = programs.flatten_with_paths(_by_parameter(signature, *indices))
    return {index: place for place, index in placed if index >= 0}


def _default_name(place: tuple[Any, ...], signature: inspect.Signature | None) -> str:
    parameter = None if signature is None else signature.parameters[place[0]]
    if parameter is not None and parameter.kind is inspect.Parameter.VAR_KEYWORD:
        place = place[1:]
    return "_".join(map(str, place))
