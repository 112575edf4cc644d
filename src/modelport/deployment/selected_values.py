"""Indices of equal values: what they select is compared, not they themselves."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from modelport.arrays import Array, Arrays
from modelport.backends import REFERENCE_RUNTIME
from modelport.deployment.workspace import Workspace
from modelport.errors import ModelportError
from modelport.graph import expose
from modelport.ir.domains import is_onnx
from modelport.ir.values import input_of
from modelport.model import Model
from modelport.numerics import (
    CaseResult,
    OutputComparison,
    ReferenceCase,
    Verification,
    compare_outputs,
)
from modelport.numerics.tolerance import Tolerance

if TYPE_CHECKING:
    import onnx_ir

Run = Callable[[Mapping[str, Array]], Arrays]


@dataclass(frozen=True)
class _Selection:
    """An output of indices: the tensor that they go into, and the axis along which they go."""

    values: str
    axis: int


def judged_by_selection(
    model: Model,
    references: Sequence[ReferenceCase],
    verification: Verification,
    run: Run,
    tolerance: Callable[[str], Tolerance],
) -> Verification:
    """Compares the values that indices select where the indices differ.

    Of equal values, or values that rounding alone sets apart, sort, topk and argmax may select any:
    every runtime does so otherwise. No index may be there twice.

    Args:
        model: The graph, which computes the values.
        references: The cases with the reference's outputs, in the order of the results.
        verification: The results; those that agree stay.
        run: Runs the engine.
        tolerance: The tolerance for a dtype.

    Returns:
        The results, in which indices that select equal values agree.
    """
    selections = _selections(model.ir)
    pairs = list(zip(references, verification.cases, strict=True))
    if not any(out.output in selections for _, case in pairs for out in case.outputs if not out.ok):
        return verification
    with tempfile.TemporaryDirectory(prefix="modelport-") as folder:
        try:
            values_of = _values(model, selections, Path(folder))
            cases = [
                _judged(item, case, selections, values_of, run, tolerance) for item, case in pairs
            ]
        except ModelportError:
            # The graph runs on the reference runtime nowhere else: nothing is known of its values.
            return verification
    return dataclasses.replace(verification, cases=tuple(cases))


def _selections(ir: onnx_ir.Model) -> dict[str, _Selection]:
    found = {}
    for output in ir.graph.outputs:
        value: onnx_ir.Value | None = output
        node = output.producer()
        while node is not None and is_onnx(node, "Cast", "Identity", "Squeeze"):
            value = node.inputs[0]
            node = None if value is None else value.producer()
        if node is None or not is_onnx(node, "TopK", "ArgMax", "ArgMin"):
            continue
        source = input_of(node, 0)
        if value is not node.outputs[-1] or source is None or source.name is None:
            continue
        default = -1 if node.op_type == "TopK" else 0
        axis = node.attributes.get_int("axis", default)
        found[str(output.name)] = _Selection(source.name, axis)
    return found


def _values(model: Model, selections: Mapping[str, _Selection], folder: Path) -> Run:
    """Runs the graph for the tensors that indices go into, on the reference runtime."""
    graph = model.ir.graph
    known = {value.name for value in (*graph.inputs, *graph.outputs)}
    inner = sorted({item.values for item in selections.values()} - known)
    exposed = expose(model, inner) if inner else model
    engine = Workspace.create(folder, exposed, [REFERENCE_RUNTIME]).open_reference()

    def run(inputs: Mapping[str, Array]) -> Arrays:
        return {**inputs, **engine.run(inputs)}

    return run


def _judged(
    item: ReferenceCase,
    case: CaseResult,
    selections: Mapping[str, _Selection],
    values_of: Run,
    run: Run,
    tolerance: Callable[[str], Tolerance],
) -> CaseResult:
    differing = [out.output for out in case.outputs if not out.ok and out.output in selections]
    if not differing:
        return case
    values, actual = values_of(item.case.inputs), run(item.case.inputs)
    compared: dict[str, OutputComparison] = {}
    for name in differing:
        selection = selections[name]
        pair = [
            _selected(values[selection.values], indices[name], selection.axis)
            for indices in (item.outputs, actual)
        ]
        if pair[0] is not None and pair[1] is not None:
            (result,) = compare_outputs({name: pair[0]}, {name: pair[1]}, tolerance)
            if result.ok:
                compared[name] = result
    outputs = tuple(compared.get(out.output, out) for out in case.outputs)
    return dataclasses.replace(case, outputs=outputs)


def _selected(values: Array, indices: Array, axis: int) -> Array | None:
    """The values at indices along an axis; None where one is outside, or there twice."""
    axis %= values.ndim
    if indices.ndim == values.ndim - 1:
        indices = np.expand_dims(indices, axis)
    if indices.ndim != values.ndim or not indices.size:
        return None
    if indices.min() < 0 or indices.max() >= values.shape[axis]:
        return None
    if (np.diff(np.sort(indices, axis), axis=axis) == 0).any():
        return None
    try:
        return np.take_along_axis(values, indices.astype(np.int64), axis)
    except (IndexError, ValueError):
        # The indices are of another shape than the values beside their axis.
        return None
