"""Dynamic dimensions: every form in which people write them, as one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelport.capture.inputs import BoundInputs, bind_inputs
from modelport.capture.torch_private import programs
from modelport.errors import UsageError
from modelport.recipe import Recipe
from modelport.signature import Dim

DynamicDims = dict[str, dict[int, Dim]]
"""Dynamic dimensions by input name and axis (counted from the front)."""


def dynamic_dims(recipe: Recipe, bound: BoundInputs) -> DynamicDims:
    """The recipe's dynamic dimensions, in the one form that the rest of the road uses.

    Args:
        recipe: Gives ``dynamic``, ``dynamic_axes`` or ``dynamic_shapes``. An exported program has
            dynamic dimensions of its own, to which these give names and narrower ranges.
        bound: The example inputs.

    Returns:
        Dimensions by input and axis. An axis without a name is called ``INPUT_AXIS``.

    Raises:
        UsageError: A name, axis or dimension does not fit the inputs, the example's size lies
            outside a declared range, or one name has two ranges.
    """
    if recipe.dynamic_shapes is not None:
        declared = _from_dynamic_shapes(recipe.dynamic_shapes, bound)
    else:
        declared = _from_axes(recipe.dynamic or recipe.dynamic_axes or {}, recipe, bound)
    if hasattr(recipe.model, "range_constraints"):
        declared = _of_program(recipe.model, declared, bound)
    _require_one_range_a_name(declared)
    return declared


def _from_axes(forms: Mapping[str, Any], recipe: Recipe, bound: BoundInputs) -> DynamicDims:
    declared: DynamicDims = {}
    for name, axes in forms.items():
        if name not in bound.names:
            # torch's dynamic_axes name outputs too; their dimensions follow from the inputs'.
            if name in (recipe.output_names or ()):
                continue
            raise UsageError(
                f"dynamic dimensions are given for {name!r}, which is no input",
                fix=f"the inputs are: {', '.join(bound.names)}",
            )
        if axes is None:
            continue
        items = axes.items() if isinstance(axes, Mapping) else [(axis, None) for axis in axes]
        declared[name] = _axes_of(name, items, bound)
    return declared


def _axes_of(name: str, items: Iterable[tuple[Any, Any]], bound: BoundInputs) -> dict[int, Dim]:
    dims = [_one(name, axis, given, bound) for axis, given in items]
    axes = [axis for axis, _ in dims]
    for axis in axes:
        if axes.count(axis) > 1:
            raise UsageError(
                f"axis {axis} of {name!r} is given twice", fix="count from the front or the back"
            )
    return {axis: dim for axis, dim in dims if dim is not None}


def _one(name: str, axis: Any, given: Any, bound: BoundInputs) -> tuple[int, Dim | None]:
    tensor = bound.tensors[name]
    if not isinstance(axis, int) or not -tensor.ndim <= axis < tensor.ndim:
        raise UsageError(
            f"{name!r} has no axis {axis!r}: its example has shape {list(tensor.shape)}"
        )
    axis %= tensor.ndim
    dim = _as_dim(given, f"{name}_{axis}")
    if dim is not None and tensor.shape[axis] not in dim:
        raise UsageError(
            f"the example's {name!r} has size {tensor.shape[axis]} on axis {axis}, "
            f"outside the declared range {dim}"
        )
    return axis, dim


def _as_dim(given: Any, default_name: str) -> Dim | None:
    """Reads a name, a `Dim`, a ``torch.export.Dim`` or one of its hints; None where static."""
    if given is None:
        return Dim(default_name)
    if isinstance(given, Dim):
        return given
    if isinstance(given, str):
        return Dim(given)
    if isinstance(given, int):
        return None
    hint = programs.read_dim(given)
    if hint is None:
        raise UsageError(
            f"cannot read the dynamic dimension {given!r}",
            fix='give a name, modelport.Dim("height", min=16, max=1024), or a torch.export.Dim',
        )
    kind, name, smallest, largest = hint
    return None if kind == "static" else Dim(name or default_name, smallest, largest)


def _from_dynamic_shapes(shapes: Any, bound: BoundInputs) -> DynamicDims:
    by_parameter = _by_parameter(shapes, bound)
    declared: DynamicDims = {}
    for name, (parameter, *steps) in bound.parameter_paths.items():
        node: Any = by_parameter.get(parameter)
        try:
            for step in steps:
                node = None if node is None else node[step]
            if node is None:
                continue
            items = list(node.items() if isinstance(node, Mapping) else enumerate(node))
        except (LookupError, TypeError) as error:
            raise UsageError(
                f"dynamic_shapes has another structure than the model's arguments at {name!r}",
                why=f"{type(error).__name__}: {error}",
                fix="give a dict of axes, or None, in the place of every tensor",
            ) from error
        declared[name] = _axes_of(name, [item for item in items if item[1] is not None], bound)
    return declared


def _by_parameter(shapes: Any, bound: BoundInputs) -> Mapping[str, Any]:
    """``dynamic_shapes`` by parameter; what ``*args`` gets is one sequence, as torch has it."""
    parameters = list(bound.by_parameter(bound.args, bound.kwargs))
    if isinstance(shapes, Mapping):
        known = parameters if bound.signature is None else list(bound.signature.parameters)
        unknown = [name for name in shapes if name not in known]
        if unknown:
            raise UsageError(
                f"dynamic_shapes are given for {', '.join(unknown)}, which is no argument",
                fix=f"the arguments are: {', '.join(known)}",
            )
        return shapes
    if isinstance(shapes, Sequence) and not isinstance(shapes, str):
        if len(shapes) > len(parameters):
            raise UsageError(f"{len(shapes)} dynamic_shapes for {len(parameters)} arguments")
        return dict(zip(parameters, shapes, strict=False))
    raise UsageError(
        f"dynamic_shapes is a {type(shapes).__name__}",
        fix="give a tuple or a dict in the structure of the model's arguments",
    )


def _of_program(program: Any, declared: DynamicDims, bound: BoundInputs) -> DynamicDims:
    """The dimensions that an exported program has, under the declared names where there are any."""
    names, ranges = programs.symbol_names(program), programs.symbol_ranges(program)
    places = [
        (name, axis, symbol)
        for name, sizes in zip(bound.names, _sizes_of_program(program, bound), strict=True)
        for axis, symbol in enumerate(sizes)
        if symbol in ranges
    ]
    merged = {name: dict(axes) for name, axes in declared.items()}
    own: dict[str, Dim] = {}
    for name, axis, symbol in places:
        low, high = ranges[symbol]
        # torch says 0 where nobody asked for it.
        own.setdefault(symbol, Dim(names.get(symbol, f"{name}_{axis}"), max(low, 1), high))
    dims: dict[str, Dim] = {}
    for name, axis, symbol in places:
        if axis in merged.get(name, {}):
            merged[name][axis] = intersection(merged[name][axis], own[symbol])
            dims.setdefault(symbol, merged[name][axis])
    for name, axis, symbol in places:
        merged.setdefault(name, {}).setdefault(axis, dims.get(symbol, own[symbol]))
    return merged


def intersection(first: Dim, second: Dim) -> Dim:
    """The sizes that two dimensions have in common, under the first one's name.

    Raises:
        UsageError: There are none.
    """
    bounds = [bound for bound in (first.max, second.max) if bound is not None]
    multiple = math.lcm(first.multiple, second.multiple)
    return Dim(first.name, max(first.min, second.min), min(bounds, default=None), multiple)


def _sizes_of_program(program: Any, bound: BoundInputs) -> list[tuple[int | str, ...]]:
    """Sizes of the program's inputs, in the order of the example's tensors."""
    pairs, _ = programs.flatten_with_paths((bound.args, dict(bound.kwargs)))
    sizes = programs.input_sizes(program)
    if len(sizes) != len(pairs):
        raise UsageError(
            f"the exported program takes {len(sizes)} inputs, and {len(pairs)} are given",
            fix="give args and kwargs in the structure that it was exported with",
        )
    by_path = {path: size for (path, _), size in zip(pairs, sizes, strict=True)}
    return [by_path[path] for path in bound.paths]


def _require_one_range_a_name(declared: DynamicDims) -> None:
    ranges: dict[str, Dim] = {}
    for axes in declared.values():
        for dim in axes.values():
            first = ranges.setdefault(dim.name, dim)
            if first != dim:
                raise UsageError(
                    f"the dimension {dim.name!r} has two ranges: {first} and {dim}",
                    fix="give one modelport.Dim to both, or two names",
                )


def torch_shapes(recipe: Recipe) -> Any:
    """The recipe's dynamic dimensions as ``torch.export`` takes them; None where there are none."""
    if isinstance(recipe.model, str | Path):
        return None
    bound = bind_inputs(recipe.model, recipe.args, recipe.kwargs, recipe.input_names)
    declared = dynamic_dims(recipe, bound)
    return to_torch_shapes(declared, bound) if declared else None


def to_torch_shapes(declared: DynamicDims, bound: BoundInputs) -> Any:
    """What ``torch.onnx.export(dynamic_shapes=...)`` takes: a dict by parameter.

    ``Dim.DYNAMIC`` is used for all: unlike ``Dim`` and ``Dim.AUTO`` it makes torch refuse a model
    that fixes the dimension. Names and most ranges are applied afterwards, by modelport.
    """
    pairs, structure = programs.flatten_with_paths((bound.args, dict(bound.kwargs)))
    name_of = dict(zip(bound.paths, bound.names, strict=True))
    leaves = [torch_hints(declared.get(name_of.get(path, ""), {})) for path, _ in pairs]
    return bound.by_parameter(*programs.unflatten(leaves, structure))


def torch_hints(axes: Mapping[int, Dim]) -> dict[int, Any] | None:
    """What torch is told of the dynamic axes of one tensor; None where it has none."""
    from torch.export import Dim as TorchDim

    hints = {}
    for axis, dim in axes.items():
        if dim.max is None and dim.min <= 1:
            hints[axis] = TorchDim.DYNAMIC
        else:
            hints[axis] = TorchDim.DYNAMIC(min=dim.min, max=dim.max)
    return hints or None
