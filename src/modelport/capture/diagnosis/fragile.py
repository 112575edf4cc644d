"""Probes that prove nothing, because the original itself jumps right beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from modelport.capture.diagnosis.suspicion import Suspicion
from modelport.capture.original import Original
from modelport.errors import RunError
from modelport.proof import CaseResult, ReferenceCase, compare_outputs, tolerance_for

if TYPE_CHECKING:
    import onnx_ir

_TIES = {"TopK", "ArgMax", "ArgMin", "NonMaxSuppression", "Unique"}
_NEARBY = 1e-6


def fragile_probes(
    original: Original,
    ir: onnx_ir.Model,
    suspicions: Sequence[Suspicion],
    references: Sequence[ReferenceCase],
    results: Sequence[CaseResult],
) -> dict[str, str]:
    """Failed probes whose inputs are level, where the original is at a tie or divides roundings.

    Where all values of an input are the same, equal scores are ordered and differences of equals
    are divided, and every runtime may do so otherwise. A millionth beside it, the original then
    gives another result. A decision that was baked in can look the same, so that zeros, on which
    arithmetic is exact, still prove what a warning suspects if nothing in the graph orders values.

    Args:
        original: The original model.
        ir: The graph.
        suspicions: What is suspected.
        references: The cases with the original's outputs.
        results: What the graph made of them, in the same order.

    Returns:
        Why a probe proves nothing, by its name.
    """
    orders = any(node.op_type in _TIES for node in ir.graph.all_nodes())
    warned = any(not suspicion.is_specific for suspicion in suspicions)
    fragile = {}
    for reference, result in zip(references, results, strict=True):
        level = [] if result.ok else _level_inputs(reference)
        if not level:
            continue
        exact = not any(reference.case.inputs[name].any() for name in level)
        if not (exact and warned and not orders) and _jumps(original, reference, level, orders):
            fragile[result.case] = (
                f"{result.case} ({result.origin}): the original gives another result where "
                f"{', '.join(map(repr, level))} is a millionth off"
            )
    return fragile


def _level_inputs(reference: ReferenceCase) -> list[str]:
    """Inputs that the case moved, all of whose values are the same."""
    return [
        name
        for name, array in reference.case.inputs.items()
        if name in reference.case.moved and array.size > 1 and (array == array.flat[0]).all()
    ]


def _jumps(
    original: Original, reference: ReferenceCase, level: Sequence[str], orders: bool
) -> bool:
    """Whether the original gives another result right beside the case."""
    inputs = reference.case.inputs
    if any(inputs[name].dtype.kind not in "fc" for name in level):
        return orders  # There is nothing beside a whole number.
    rng = np.random.default_rng(0)
    for _ in range(2):
        nearby = {}
        for name in level:
            scale = float(np.std(original.examples[name].astype(np.float64))) or 1.0
            noise = rng.normal(0.0, _NEARBY * scale, inputs[name].shape)
            nearby[name] = (inputs[name] + noise).astype(inputs[name].dtype)
        try:
            outputs = original.run({**inputs, **nearby})
        except RunError:
            return True
        if not all(item.ok for item in compare_outputs(reference.outputs, outputs, tolerance_for)):
            return True
    return False
