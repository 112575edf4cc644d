"""Programs that torch.export wrote, as recipes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from modelport.errors import UsageError
from modelport.recipe import Recipe


def open_program(recipe: Recipe) -> Recipe:
    """Reads a ``.pt2`` file, and takes an exported program's own example inputs.

    Raises:
        UsageError: The file is not an exported program, or there are no example inputs.
    """
    import torch

    model = recipe.model
    if isinstance(model, str | Path):
        path = Path(model)
        if path.suffix == ".onnx":
            return recipe
        if not path.is_file():
            raise UsageError(f"no such file: {path}")
        try:
            model = torch.export.load(path)
        except Exception as error:  # a zip of pickles fails in many ways
            raise UsageError(
                f"{path} is not a readable torch.export program",
                why=f"{type(error).__name__}: {error}",
                fix="write it with torch.export.save",
            ) from error
    if not isinstance(model, torch.export.ExportedProgram):
        return dataclasses.replace(recipe, model=model)
    example_args, example_kwargs = model.example_inputs or ((), {})
    if recipe.args or recipe.kwargs:
        # The program's inputs are known by their order.
        ordered = {name: recipe.kwargs[name] for name in example_kwargs if name in recipe.kwargs}
        return dataclasses.replace(recipe, model=model, kwargs={**ordered, **recipe.kwargs})
    if model.example_inputs is None:
        raise UsageError("the exported program carries no example inputs", fix="give args")
    return dataclasses.replace(
        recipe, model=model, args=example_args, kwargs=example_kwargs, name=recipe.title
    )
