"""Programs that torch.export wrote, as recipes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.capture.dynamic import dynamic_dims, torch_hints
from modelport.capture.inputs import BoundInputs, bind_inputs
from modelport.capture.mutated_inputs import with_mutated_inputs
from modelport.capture.reference_function import evaluating, flat_outputs
from modelport.capture.torch_private import programs
from modelport.capture.torch_private.program_files import load_program_data
from modelport.errors import ExportError, UsageError
from modelport.files.exported_program import save_program
from modelport.pipeline import assemble
from modelport.recipe import Recipe

if TYPE_CHECKING:
    import torch


def open_program(recipe: Recipe) -> Recipe:
    """Reads a ``.pt2`` file, takes an exported program's own example inputs, and puts the steps
    before and after the model and the model itself together. Inputs that forward writes into become
    outputs where the recipe asks for it.

    Raises:
        UsageError: The file is not an exported program, there are no example inputs, or a step
            does not fit.
    """
    return with_mutated_inputs(assemble(_opened(recipe)))


def _opened(recipe: Recipe) -> Recipe:
    import torch

    model = recipe.model
    if isinstance(model, str | Path):
        path = Path(model)
        if path.suffix == ".onnx":
            return recipe
        if not path.is_file():
            raise UsageError(f"no such file: {path}")
        try:
            model = load_program_data(path)
        except UsageError:
            raise
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


@dataclass(frozen=True)
class Program:
    """A program of ``torch.export`` that takes tensors alone, and returns a tuple of them.

    Attributes:
        exported: The program.
        inputs: Names of its inputs, in order.
    """

    exported: torch.export.ExportedProgram
    inputs: tuple[str, ...]

    def save(self, path: Path) -> None:
        """Writes the program where the torch backend finds it."""
        save_program(self.exported, self.inputs, path)


def export_program(recipe: Recipe) -> Program:
    """Captures a PyTorch model by ``torch.export`` alone.

    Args:
        recipe: The recipe, as `open_program` leaves it.

    Returns:
        The program.

    Raises:
        ExportError: The recipe is of an ONNX file, or torch cannot capture the model.
    """
    import torch

    if isinstance(recipe.model, str | Path):
        raise ExportError(
            f"{recipe.model} is no PyTorch model",
            fix="the torch backend runs what was captured from PyTorch: deploy from a recipe",
        )
    bound = bind_inputs(recipe.model, recipe.args, recipe.kwargs, recipe.input_names)
    dims = dynamic_dims(recipe, bound)
    shapes = tuple(torch_hints(dims.get(name, {})) for name in bound.names)
    try:
        with evaluating(recipe.model), torch.no_grad(), programs.sizes_of_one_may_vary():
            program = torch.export.export(
                _flat(recipe.model, bound), tuple(bound.tensors.values()), dynamic_shapes=(shapes,)
            )
    except Exception as error:  # user code and torch raise anything
        raise ExportError(
            "torch.export cannot capture the model as a program",
            why=f"{type(error).__name__}: {error}".partition("\n")[0],
            fix="leave the torch backend out: the graph may have been captured in another way",
        ) from error
    return Program(program, tuple(bound.names))


def _flat(model: Any, bound: BoundInputs) -> torch.nn.Module:
    """The model as a function of tensors alone that returns a tuple of tensors."""
    import torch

    module = model.module() if isinstance(model, torch.export.ExportedProgram) else model
    pairs, structure = programs.flatten_with_paths((bound.args, dict(bound.kwargs)))
    index_of = {path: index for index, path in enumerate(bound.paths)}

    class Flat(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            leaves = [tensors[index_of[path]] if path in index_of else leaf for path, leaf in pairs]
            args, kwargs = programs.unflatten(leaves, structure)
            return tuple(flat_outputs(self.module(*args, **kwargs)))

    return Flat().eval()
