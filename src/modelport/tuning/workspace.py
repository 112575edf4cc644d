"""A folder with what contestants need: the graph, its libraries and program, and cases."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelport.arrays import Array
from modelport.backends.interface import GRAPH
from modelport.backends.torch.program import program_of
from modelport.compilation import Plan
from modelport.errors import ExportError
from modelport.model import Model
from modelport.ops.binaries import FOLDER, platform_name
from modelport.ops.libraries import collect_libraries
from modelport.precision.data import Source
from modelport.proof import (
    Case,
    ReferenceCase,
    draw_cases,
    read_case,
    read_cases,
    run_reference,
    write_case,
)
from modelport.recipe import Recipe
from modelport.signature import Signature
from modelport.tensorfile import as_declared
from modelport.tuning.quantizing import held_out_cases, place_of

_CASES = "cases"


@dataclass(frozen=True)
class Workspace:
    """A folder that processes share.

    Attributes:
        folder: The folder; the graph lies in it where `compile_model` looks for it.
    """

    folder: Path

    @property
    def inputs(self) -> Path:
        """The case to time on."""
        return self.folder / "inputs.npz"

    @property
    def data(self) -> Path:
        """A file that says where the data to calibrate on are; missing where there are none."""
        return self.folder / "data.txt"

    @property
    def table(self) -> Path:
        """Where the ranges of the model's tensors are, once it was calibrated."""
        return self.folder / "table.json"

    def quantized(self, form: str) -> Path:
        """Where the model in int8 is, in a form of Q/DQ, once it was quantized."""
        return self.folder / "graphs" / f"quantized-{form}.onnx"

    def libraries(self) -> list[str]:
        """Libraries of operators, relative to the folder."""
        own = f"{FOLDER}/{platform_name()}"
        return [f"{own}/{path.name}" for path in sorted((self.folder / own).glob("*"))]

    def write_cases(self, references: Sequence[ReferenceCase], inputs: Mapping[str, Array]) -> None:
        """Keeps cases with the original's outputs, and what to time on.

        Args:
            references: The cases, the one to look at first in front.
            inputs: Arrays by input name.
        """
        for index, item in enumerate(references):
            name = f"{index:03d}-{item.case.name}.npz"
            write_case(self.folder / _CASES / name, item.case.inputs, item.outputs)
        write_case(self.inputs, inputs, {})

    def references(self, signature: Signature) -> list[ReferenceCase]:
        """The cases, with what the original made of them, under the names that they were given."""
        return [
            ReferenceCase(
                Case(
                    case.name.partition("-")[2],
                    as_declared(case.inputs, signature.inputs),
                    case.origin,
                ),
                as_declared(outputs, signature.outputs),
            )
            for case, outputs in read_cases(self.folder / _CASES)
        ]

    def copy(self, folder: Path) -> Workspace:
        """The same in another folder, where a contestant may write; the files are shared."""
        shutil.copytree(self.folder, folder, copy_function=os.link)
        return Workspace(folder)


def read_inputs(path: Path, signature: Signature) -> dict[str, Array]:
    """The inputs of a case in a file, in the dtypes that a model takes."""
    return as_declared(read_case(path)[0].inputs, signature.inputs)


def make_workspace(
    folder: Path,
    recipe: Recipe,
    plans: Sequence[Plan],
    *,
    case: str | os.PathLike[str] | None = None,
    data: Source | None = None,
    seed: int = 0,
) -> Workspace:
    """Captures a model, and runs the original on cases.

    Args:
        folder: Where; it must not exist.
        recipe: The model, as `modelport.capture.programs.open_program` leaves it.
        plans: What is to be compiled.
        case: An ``.npz`` file with the inputs to time on, in place of the example.
        data: Data to calibrate on, of which some cases are held out to judge by; see
            `modelport.precision.data.CalibrationData`.
        seed: Seed of the cases.

    Returns:
        The workspace.

    Raises:
        UsageError: The case or the data cannot be read, or do not fit the model.
        RunError: The model does not take the case.
        ExportError: The model cannot be captured.
    """
    # The processes that are timed load this module, and must not load PyTorch.
    from modelport.capture import export
    from modelport.capture.programs import write_program

    workspace = Workspace(folder)
    graph = folder / GRAPH
    graph.parent.mkdir(parents=True)
    model = export(recipe)
    model.save(graph)
    cuda = any(plan.target.device == "cuda" for plan in plans)
    collect_libraries(model.operators(), folder, cuda=cuda)
    if any(plan.target.backend == "torch" for plan in plans):
        # Without a program its candidates fail, and say so.
        with contextlib.suppress(ExportError):
            write_program(recipe, folder / program_of(GRAPH))
    held_out: list[Case] = []
    if data is not None:
        workspace.data.write_text(place_of(data, model.signature, folder.with_name("data")))
        held_out = held_out_cases(workspace.data.read_text(), model.signature)
    references = _references(recipe, model, held_out, seed)
    inputs = references[0].case.inputs
    if case is not None:
        inputs = read_inputs(Path(case), model.signature)
        model.signature.examine(inputs)
    workspace.write_cases(references, inputs)
    return workspace


def _references(
    recipe: Recipe, model: Model, held_out: Sequence[Case], seed: int
) -> list[ReferenceCase]:
    """The original on its example, on drawn cases, and on those of a user's data.

    Without an example, the largest that was drawn is first.
    """
    from modelport.capture.original import open_original

    original = open_original(recipe, model.signature)
    cases = draw_cases(original.signature, original.examples, recipe.values, seed)
    references, _ = run_reference(original.run, cases, original.given)
    if not original.given:
        references.sort(key=lambda item: item.nbytes, reverse=True)
    return [*references, *(ReferenceCase(case, original.run(case.inputs)) for case in held_out)]
