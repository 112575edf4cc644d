"""Drafts for a class of modules."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING

from modelport.errors import UsageError
from modelport.recipe import load_function
from modelport.recipe_draft.draft import Draft, ExampleInput
from modelport.recipe_draft.examples import examples_for

if TYPE_CHECKING:
    from torch import nn


def draft_class(source: str, folder: Path) -> Draft:
    """Drafts a recipe for a class, or for a function that returns a module.

    Args:
        source: ``package.module:Class`` or ``file.py:Class``.
        folder: The folder that the recipe is written to.

    Raises:
        UsageError: The source has no such class, or it makes no module.
    """
    imports, name = import_lines(source, folder)
    made, missing = made_module(source)
    model = [f"model = {name}()"]
    if made is None:
        model = [f"model = {name}(...)"]
        return Draft(source, [*imports, "import torch"], model, _unknown(), (), missing)
    inputs, notes, more = example_parts(made)
    return Draft(source, [*imports, "import torch"], model, inputs, notes, [*missing, *more])


def example_parts(model: nn.Module) -> tuple[tuple[ExampleInput, ...], list[str], list[str]]:
    """The example inputs of a module, notes on them, and what is missing."""
    examples = examples_for(model)
    if examples.error:
        text = f"make the example inputs fit: with those below the model raises {examples.error}"
        return examples.inputs, [], [text]
    notes = ["The example inputs were run: their shapes fit. Put real data in their place."]
    if not any(item.dynamic for item in examples.inputs):
        notes.append("No dimension is dynamic: `dynamic={input: {axis: name}}` makes one so.")
    return examples.inputs, notes, []


def made_module(source: str) -> tuple[nn.Module | None, list[str]]:
    """The module that a class makes without arguments, and what is missing where it makes none.

    Args:
        source: ``package.module:Class`` or ``file.py:Class``.

    Raises:
        UsageError: The source has no such class, or it makes no module.
    """
    from torch import nn

    factory = load_function(source)
    required = [
        item.name
        for item in inspect.signature(factory).parameters.values()
        if item.default is inspect.Parameter.empty
        and item.kind not in (item.VAR_POSITIONAL, item.VAR_KEYWORD)
    ]
    if required:
        return None, [f"give {', '.join(required)} to {source.rpartition(':')[2]}"]
    try:
        model = factory()
    except Exception as error:  # the user's code may raise anything
        raise UsageError(
            f"{source} raised {type(error).__name__}: {error}",
            fix="name a class or function that makes the module without arguments",
        ) from error
    if not isinstance(model, nn.Module):
        raise UsageError(
            f"{source} made a {type(model).__name__}, not a torch.nn.Module",
            fix="name a class of modules, or a function that returns a module",
        )
    return model, []


def import_lines(source: str, folder: Path) -> tuple[list[str], str]:
    """The imports of a class in a recipe, and the class's name.

    Args:
        source: ``package.module:Class`` or ``file.py:Class``.
        folder: The folder that the recipe is written to.

    Raises:
        UsageError: The file lies in another folder than the recipe, and cannot be imported.
    """
    place, _, name = source.rpartition(":")
    if not place.endswith(".py"):
        return [f"from {place} import {name}"], name
    path = Path(place)
    if path.resolve().parent != folder.resolve():
        raise UsageError(
            f"a recipe in {folder} cannot import {path}",
            why="a recipe imports modules of its own folder and installed packages",
            fix=f"write it beside: -o {path.with_name('recipe.py')}",
        )
    return [f"from {path.stem} import {name}"], name


def _unknown() -> tuple[ExampleInput, ...]:
    return (ExampleInput("input", "torch.randn(1, 3, 224, 224)", {0: "batch"}),)
