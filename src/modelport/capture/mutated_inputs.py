"""Inputs that forward writes into, as outputs."""

from __future__ import annotations

import copy
import dataclasses
import functools

from modelport.capture.inputs import bind_inputs
from modelport.capture.reference_function import count_outputs, flat_outputs
from modelport.capture.torch_private import programs
from modelport.errors import UsageError
from modelport.recipe import Recipe


def with_mutated_inputs(recipe: Recipe) -> Recipe:
    """A recipe whose model returns the inputs of `Recipe.mutated_inputs`, as forward leaves them.

    They come after the model's own outputs. Forward writes into copies, as a runtime leaves its
    inputs alone.

    Raises:
        UsageError: An input of that name does not exist, or the model has no forward of a class.
    """
    import torch

    names = dict(recipe.mutated_inputs)
    if not names:
        return recipe
    model = recipe.model
    is_plain = isinstance(model, torch.nn.Module) and "forward" not in vars(model)
    if not is_plain or isinstance(model, torch.jit.ScriptModule):
        raise UsageError(
            "mutated_inputs is given with a model that has no forward of a Python class",
            fix="give the torch.nn.Module that it was made of",
        )
    bound = bind_inputs(model, recipe.args, recipe.kwargs, recipe.input_names)
    unknown = [name for name in names if name not in bound.names]
    if unknown:
        raise UsageError(
            f"mutated_inputs names {unknown[0]!r}, but the model has no such input",
            fix=f"the inputs are: {', '.join(bound.names)}",
        )
    assert bound.signature is not None
    signature = bound.signature
    paths = [bound.parameter_paths[name] for name in names]
    original = type(model).forward

    @functools.wraps(original)
    def forward(self: object, *args: object, **kwargs: object) -> tuple[torch.Tensor, ...]:
        arguments = signature.bind(*args, **kwargs)
        pairs, structure = programs.flatten_with_paths(dict(arguments.arguments))
        copies = {path: leaf.clone() for path, leaf in pairs if path in paths}
        leaves = [copies.get(path, leaf) for path, leaf in pairs]
        arguments.arguments.update(programs.unflatten(leaves, structure))
        outputs = flat_outputs(original(self, *arguments.args, **arguments.kwargs))
        return (*outputs, *(copies[path] for path in paths))

    own = recipe.output_names
    if own is None:
        own = [f"output_{index}" for index in range(count_outputs(model, bound))]
    # A class, and no function of the instance: copies of the module have a forward of their own.
    returning = copy.copy(model)
    returning.__class__ = type(type(model).__name__, (type(model),), {"forward": forward})
    return dataclasses.replace(
        recipe,
        model=returning,
        output_names=[*own, *names.values()],
        mutated_inputs={},
        name=recipe.title,
    )
