"""Probes that prove nothing: the original jumps right beside them, or is as far off by itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from modelport.arrays import Array, Arrays
from modelport.capture.diagnosis.suspicions import Suspicion
from modelport.capture.reference_model import ReferenceModel
from modelport.errors import RunError
from modelport.numerics import CaseResult, ReferenceCase, compare_outputs, tolerance_for
from modelport.numerics.metrics import rms

if TYPE_CHECKING:
    import onnx_ir


_TIES = {"TopK", "ArgMax", "ArgMin", "NonMaxSuppression", "Unique"}
_NEARBY, _STEADY = 1e-6, 1e-2
_AT_A_TIE, _BESIDE_ONE = 2, 8
"""How often it is looked beside a case: at a tie any step shows it, beside one it takes luck."""


def fragile_probes(
    original: ReferenceModel,
    ir: onnx_ir.Model,
    suspicions: Sequence[Suspicion],
    references: Sequence[ReferenceCase],
    results: Sequence[CaseResult],
) -> dict[str, str]:
    """Failed probes at which the original is at a tie or beside one, or divides roundings.

    Where all values of an input are the same, equal scores are ordered and differences of equals
    are divided, and every runtime may do so otherwise. A millionth beside it, the original then
    gives another result. A decision that was baked in can look the same: zeros still prove what a
    warning suspects, if nothing in the graph orders values and the original is steady on small
    values that are all the same, as roundings are not.

    A graph that orders values or compares them with a bound (non-maximum suppression) may stand
    beside a tie on any inputs: then, too, the original gives another result a millionth off.

    A network may blow up the rounding of its first layers, as random weights and values far from
    the example's do. Where the original's own error against float64 is more than a hundred times
    what is allowed, the case says nothing at all.

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
        if result.ok:
            continue
        if own := result.no_evidence:
            fragile[result.case] = (
                f"{result.case} ({result.origin}): the original itself is off by {own:.1g} of "
                "its result there, by rounding alone"
            )
            continue
        level = _level_inputs(reference)
        if not level:
            floats = [
                name for name, array in reference.case.inputs.items() if array.dtype.kind in "fc"
            ]
            if orders and floats and _jumps(original, reference, floats, orders, _BESIDE_ONE):
                fragile[result.case] = _why(result, floats)
            continue
        exact = not any(reference.case.inputs[name].any() for name in level)
        decided = exact and warned and not orders and _is_steady(original, reference, result, level)
        if not decided and _jumps(original, reference, level, orders, _AT_A_TIE):
            fragile[result.case] = _why(result, level)
    return fragile


def _why(result: CaseResult, names: Sequence[str]) -> str:
    return (
        f"{result.case} ({result.origin}): the original gives another result where "
        f"{', '.join(map(repr, names))} is a millionth off"
    )


def _level_inputs(reference: ReferenceCase) -> list[str]:
    """Inputs that the case moved, all of whose values are the same."""
    return [
        name
        for name, array in reference.case.inputs.items()
        if name in reference.case.moved and array.size > 1 and (array == array.flat[0]).all()
    ]


def _is_steady(
    original: ReferenceModel, reference: ReferenceCase, result: CaseResult, level: Sequence[str]
) -> bool:
    """Whether small values that are all the same give results that lie close together.

    Close is what lies within a hundredth of the difference that the case shows.
    """
    near = [
        _outputs_beside(original, reference, level, partial(np.full, fill_value=by))
        for by in (1.0, 1.7, 2.3, 3.1)
    ]
    spread = 0.0
    for name in reference.outputs:
        results = [outputs[name] for outputs in near if outputs is not None]
        if len(results) < len(near):
            return False
        spread = max(spread, *(_distance(results[0], item) for item in results[1:]))
    errors = [math.inf if item.reason else item.max_abs for item in result.outputs if not item.ok]
    return math.isfinite(spread) and spread <= _STEADY * max(errors, default=math.inf)


def _distance(one: Array, other: Array) -> float:
    """Root mean square of the difference; infinite for other shapes, or NaN in other places."""
    if one.shape != other.shape or (np.isfinite(one) != np.isfinite(other)).any():
        return math.inf
    return rms(one.astype(np.float64) - other.astype(np.float64))


def _jumps(
    original: ReferenceModel,
    reference: ReferenceCase,
    level: Sequence[str],
    orders: bool,
    trials: int,
) -> bool:
    """Whether the original gives another result right beside the case."""
    if any(reference.case.inputs[name].dtype.kind not in "fc" for name in level):
        return orders  # There is nothing beside a whole number.
    rng = np.random.default_rng(0)
    return not all(
        _agree(reference.outputs, _outputs_beside(original, reference, level, rng.standard_normal))
        for _ in range(trials)
    )


def _outputs_beside(
    original: ReferenceModel,
    reference: ReferenceCase,
    level: Sequence[str],
    draw: Callable[[tuple[int, ...]], Any],
) -> Arrays | None:
    """What the original gives where inputs are off by millionths; None where it refuses them."""
    nearby = dict(reference.case.inputs)
    for name in level:
        array = nearby[name]
        # The source of an ONNX file has no examples.
        example = original.examples.get(name, array).astype(np.float64)
        scale = float(np.std(example[np.isfinite(example)])) or 1.0
        nearby[name] = (array + _NEARBY * scale * draw(array.shape)).astype(array.dtype)
    try:
        return original.run(nearby)
    except RunError:
        return None


def _agree(expected: Arrays, actual: Arrays | None) -> bool:
    return actual is not None and all(
        item.ok for item in compare_outputs(expected, actual, tolerance_for)
    )
