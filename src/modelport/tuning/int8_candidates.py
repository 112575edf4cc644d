"""int8 among the candidates: calibrated once, quantized once for each form, on a user's data."""

from __future__ import annotations

import functools
import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from modelport.numerics import Case, OutputComparison, ReferenceCase, tolerance_for, verify_cases
from modelport.precision import CalibrationTable, calibrate, quantize
from modelport.precision.data import CalibrationData, Part, Source
from modelport.precision.quantization_result import QuantizationChoice
from modelport.precision.score import Metric, Run
from modelport.signature import Signature

if TYPE_CHECKING:
    from modelport.tuning.workspace import TuningWorkspace

HELD_OUT = "data-"
"""Prefix of the names of cases that were held out of the user's data."""

_LOST = 1e6
"""Error of an output with a wrong shape, of one that is not finite, or of unequal integers."""

_JUDGED = 8
"""Maximum number of cases that are held out of the data."""


def place_of(data: Source, signature: Signature, folder: Path) -> str:
    """Data in files that other processes can read.

    Args:
        data: What `modelport.precision.data.CalibrationData` takes.
        signature: The model's inputs.
        folder: Where cases are written that are nowhere but in this process.

    Returns:
        The place itself, or the folder.

    Raises:
        UsageError: A case does not fit the model.
    """
    if isinstance(data, str | os.PathLike):
        return os.fspath(data)
    folder.mkdir()
    for number, case in enumerate(CalibrationData(data, signature)):
        np.savez(folder / f"{number:06d}.npz", **case)  # type: ignore[arg-type]
    return str(folder)


def is_held_out(reference: ReferenceCase) -> bool:
    """Return True if a case is held out of the user's data: int8 is judged by it."""
    return reference.case.name.startswith(HELD_OUT)


def held_out_cases(data: str, signature: Signature) -> list[Case]:
    """The held-out cases, by which candidates are judged.

    Raises:
        UsageError: The data are empty, not finite or of wrong shapes.
    """
    cases = Part(CalibrationData(data, signature), held_out=True)
    return [
        Case(f"{HELD_OUT}{number}", case, f"held out of {data}")
        for number, case in enumerate(itertools.islice(cases, _JUDGED))
    ]


def quantize_workspace(
    workspace: TuningWorkspace, form: str, tolerance: float
) -> QuantizationChoice:
    """Quantizes the workspace's model, with as few operators in float32 as the bound needs.

    The ranges are read once, for all forms.

    Args:
        workspace: The model, where its data are, and the cases that were held out.
        form: One of `modelport.precision.FORMS`.
        tolerance: Error that an output may have as a whole on the cases held out.

    Returns:
        What was chosen; see `modelport.precision.Quantization.choice`.

    Raises:
        UsageError: The data cannot be read, or nothing of the model can compute in 8 bits.
        ProofError: The bound cannot be met.
    """
    model, libraries = workspace.model, workspace.library_paths
    held_out = [item for item in workspace.references(model.signature) if is_held_out(item)]
    cases = Part(CalibrationData(workspace.data.read_text(), model.signature), held_out=False)
    if not workspace.table.exists():
        from modelport.passes import simplify

        simple = simplify(model, check=False).model
        calibrate(simple, cases, libraries=libraries).save(workspace.table)
    result = quantize(
        model,
        cases,
        form=form,
        table=CalibrationTable.load(workspace.table),
        judge_on=[item.case.inputs for item in held_out],
        metric=_closeness(held_out, tolerance),
        max_drop=tolerance,
        libraries=libraries,
    )
    result.model.save(workspace.quantized(form))
    return result.choice


def _closeness(references: list[ReferenceCase], tolerance: float) -> Metric:
    """Argument ``metric`` of `quantize`: the worst error, as candidates are judged by it."""
    bounds = functools.partial(tolerance_for, precision="int8", at_most=tolerance)

    def closeness(run: Run) -> float:
        result = verify_cases(references, lambda inputs: run(inputs), tolerance=bounds)
        return -max(_loss(output) for case in result.cases for output in case.outputs)

    return closeness


def _loss(output: OutputComparison) -> float:
    """The error of an output; that of its worst element if it is larger."""
    if output.reason or not output.rms_rel_allowed:
        return 0.0 if output.ok else _LOST
    scaled = output.max_rel * output.rms_rel_allowed / output.max_rel_allowed
    return min(max(output.rms_rel, scaled), _LOST)


def quantized_how(choice: QuantizationChoice) -> str:
    """Text about a quantization: the scheme, and the operators in int8."""
    kept, done = choice["kept"], choice["improvements"]
    text = f"calibrated on {choice['cases']} cases by {choice['calibration']}"
    text += f", of {choice['operators']} operators {len(kept)} stay in float32"
    text += f" ({', '.join(kept)})" if kept else ""
    return text + (f", after {', '.join(done)}" if done else "")
