"""The folder of a search: the graph, its libraries and program, and cases, for workers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelport.arrays import Array
from modelport.backends import get_backend
from modelport.backends.base import GRAPH, program_of
from modelport.deployment.plan import Plan
from modelport.deployment.workspace import Workspace
from modelport.errors import ExportError
from modelport.files.arrays import as_declared
from modelport.numerics import (
    Case,
    ReferenceCase,
    draw_cases,
    read_case,
    read_cases,
    run_reference,
    write_case,
)
from modelport.precision.data import Source
from modelport.signature import Signature
from modelport.tuning.int8_candidates import held_out_cases, place_of

if TYPE_CHECKING:
    from modelport.capture.attempts import CaptureAttempt

_CASES = "cases"


@dataclass(frozen=True)
class TuningWorkspace(Workspace):
    """A workspace with what candidates, each a process of its own, are timed and judged on."""

    @property
    def inputs(self) -> Path:
        """The case to time on."""
        return self.folder / "inputs.npz"

    @property
    def data(self) -> Path:
        """File with the path of the calibration data; missing without data."""
        return self.folder / "data.txt"

    @property
    def table(self) -> Path:
        """File of the ranges of the model's tensors, once it was calibrated."""
        return self.folder / "table.json"

    def quantized(self, form: str) -> Path:
        """File of the model in int8, for a scheme of Q/DQ, once it was quantized."""
        return self.folder / "graphs" / f"quantized-{form}.onnx"

    def write_cases(self, references: Sequence[ReferenceCase], inputs: Mapping[str, Array]) -> None:
        """Stores cases with the reference's outputs, and the case to time.

        Args:
            references: The cases, the one to look at first in front.
            inputs: Arrays by input name.
        """
        for index, item in enumerate(references):
            name = f"{index:03d}-{item.case.name}.npz"
            write_case(self.folder / _CASES / name, item.case.inputs, item.outputs)
        write_case(self.inputs, inputs, {})

    def references(self, signature: Signature) -> list[ReferenceCase]:
        """The cases, with the reference's outputs, under their names."""
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


def read_inputs(path: Path, signature: Signature) -> dict[str, Array]:
    """The inputs of a case in a file, in the model's dtypes."""
    return as_declared(read_case(path)[0].inputs, signature.inputs)


def make_workspace(
    folder: Path,
    attempt: CaptureAttempt,
    plans: Sequence[Plan],
    *,
    case: str | os.PathLike[str] | None = None,
    data: Source | None = None,
    seed: int = 0,
) -> TuningWorkspace:
    """Writes the workspace: the graph, and cases with the reference model's outputs.

    Args:
        folder: Where; it must not exist.
        attempt: The model.
        plans: What is to be built.
        case: An ``.npz`` file with the inputs to time on, in place of the example.
        data: Data to calibrate on, of which some cases are held out to judge by; see
            `modelport.precision.data.CalibrationData`.
        seed: Seed of the cases.

    Returns:
        The workspace.

    Raises:
        UsageError: The case or the data cannot be read, or do not fit the model.
        RunError: The model does not take the case.
    """
    model = attempt.model
    workspace = TuningWorkspace.create(folder, model, [plan.target for plan in plans])
    workspace.describe()
    if any(get_backend(plan.target).runs_program for plan in plans):
        # Without a program its candidates fail, and say so.
        with contextlib.suppress(ExportError):
            attempt.program.save(folder / program_of(GRAPH))
    held_out: list[Case] = []
    if data is not None:
        workspace.data.write_text(place_of(data, model.signature, folder.with_name("data")))
        held_out = held_out_cases(workspace.data.read_text(), model.signature)
    references = _references(attempt, held_out, seed)
    inputs = references[0].case.inputs
    if case is not None:
        inputs = read_inputs(Path(case), model.signature)
        model.signature.examine(inputs)
    workspace.write_cases(references, inputs)
    return workspace


def _references(
    attempt: CaptureAttempt, held_out: Sequence[Case], seed: int
) -> list[ReferenceCase]:
    """Outputs of the reference model for its example, drawn cases, and cases of the user's data.

    Without an example, the largest that was drawn is first.
    """
    reference = attempt.reference
    with reference.unchanged():
        values = {**reference.values, **attempt.recipe.values}
        cases = draw_cases(reference.signature, reference.examples, values, seed)
        references, _ = run_reference(reference.run, cases, reference.given)
        further = [ReferenceCase(case, reference.run(case.inputs)) for case in held_out]
    if not reference.given:
        references.sort(key=lambda item: item.nbytes, reverse=True)
    return [*references, *further]
