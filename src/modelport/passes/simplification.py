"""`simplify`: fewer nodes that compute the same."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx_ir as ir
from onnx_ir.passes import common

from modelport.errors import PassError
from modelport.ir.topology import order_problems
from modelport.model import Model
from modelport.numerics import Verification
from modelport.numerics.verification import Runner
from modelport.passes.base import apply_passes
from modelport.passes.common_subexpressions import ShareSubexpressions
from modelport.passes.constant_folding import FoldConstants
from modelport.passes.duplicate_initializers import ShareInitializers
from modelport.passes.equivalence import check_agreement
from modelport.passes.fusions import FuseNeighbours
from modelport.passes.io_preservation import interface_kept
from modelport.passes.no_ops import RemoveNoOps
from modelport.passes.registry import SIMPLIFY, passes_of
from modelport.passes.shape_arithmetic import FoldShapes
from modelport.passes.shape_inference import InferShapes, forget_inferred_names

SIZE_LIMIT = 1 << 20
"""Bytes that a folded tensor may have by default."""

_ROUNDS = 10


@dataclass(frozen=True)
class Simplification:
    """What `simplify` did.

    Attributes:
        model: The simplified model.
        before: Nodes of the model given, by operator, subgraphs included; constants do not count.
        after: Nodes of the simplified model.
        bytes_before: Bytes of the initializers of the model given.
        verification: How both compare on drawn cases; None where that was not asked for.
        seconds: Seconds that the passes took, without the comparison.
    """

    model: Model
    before: Mapping[str, int]
    after: Mapping[str, int]
    bytes_before: int
    verification: Verification | None
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The result as plain dicts and lists."""
        return {
            "nodes": {"before": sum(self.before.values()), "after": sum(self.after.values())},
            "operators": {"before": dict(self.before), "after": dict(self.after)},
            "weight_bytes": {"before": self.bytes_before, "after": self.model.weight_bytes},
            "seconds": self.seconds,
            "verification": None if self.verification is None else self.verification.to_json(),
        }


def simplify(
    model: Model | str | os.PathLike[str],
    *,
    size_limit: int = SIZE_LIMIT,
    check: bool = True,
    seed: int = 0,
    run: Callable[[Path], Runner] | None = None,
) -> Simplification:
    """Simplifies a model, and proves that it still computes the same.

    In turn, until nothing changes: shapes are inferred (ONNX), shape arithmetic that the declared
    ranges decide becomes constants, what depends on constants alone is folded (onnxscript), no-ops
    and dead code go, common subexpressions are computed once, neighbours are fused (onnxscript),
    and passes of other packages run (`modelport.passes.registry`). At last, equal initializers are
    stored once. Inputs and outputs keep their names, types and shapes; nodes of other domains,
    functions, and the metadata of the nodes that stay are kept. What each pass decides about a
    node is in the log ``modelport.passes``, at the level DEBUG.

    Args:
        model: A model, which is not changed, or an ONNX file.
        size_limit: Bytes that a folded tensor may have, unless no more bytes come than go.
        check: Run both models on cases drawn within the declared ranges, and compare.
        seed: Seed of the cases.
        run: Opens an ONNX file for the comparison: from its path to a function from arrays by
            input name to arrays by output name. ONNX Runtime on the CPU by default.

    Returns:
        The simplified model, and what became of the nodes.

    Raises:
        UsageError: The file cannot be read, or the model cannot be compared as it is: it draws
            random numbers, say.
        BuildError: The runtime does not take the model given.
        PassError: The model is not sound, or a pass failed on it.
        ProofError: The simplified model computes something else.
    """
    original = model if isinstance(model, Model) else Model.load(model)
    begin = time.perf_counter()
    simplified = original.copy() if isinstance(model, Model) else original
    before, bytes_before = _operators(simplified.ir), simplified.weight_bytes
    _require_sound(simplified.ir)
    with _quiet(), interface_kept(simplified.ir):
        _run_passes(simplified, size_limit)
    seconds = time.perf_counter() - begin
    verification = None
    if check:
        source = original if isinstance(model, Model) else Path(model)
        verification = check_agreement(source, simplified, seed, run)
    return Simplification(
        simplified, before, _operators(simplified.ir), bytes_before, verification, seconds
    )


def _run_passes(model: Model, size_limit: int) -> None:
    infer = InferShapes()
    passes: list[ir.passes.PassBase] = [
        FoldShapes.of(model),
        common.RemoveUnusedNodesPass(),
        FoldConstants(size_limit),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        RemoveNoOps(),
        common.RemoveUnusedNodesPass(),
        ShareSubexpressions(),
        FuseNeighbours(),
        *(kind.of(model) for kind in passes_of(SIMPLIFY).values()),
        common.RemoveUnusedNodesPass(),
    ]
    for _ in range(_ROUNDS):
        apply_passes([infer], model.ir)
        if not apply_passes(passes, model.ir):
            break
    apply_passes(
        [
            ShareInitializers(),
            ShareSubexpressions(),
            common.RemoveUnusedNodesPass(),
            common.RemoveUnusedFunctionsPass(),  # type: ignore[no-untyped-call]
            common.NameFixPass(),
        ],
        model.ir,
    )
    forget_inferred_names(model.ir)


def _require_sound(model: ir.Model) -> None:
    problem = next(iter(order_problems(model.graph)), None)
    if problem is not None:
        raise PassError(
            "the model is not sound",
            where=problem,
            fix="`modelport check MODEL.onnx` says more; a graph has no cycles and is in order",
        )


def _operators(model: ir.Model) -> dict[str, int]:
    nodes = [node for node in model.graph.all_nodes() if node.op_type != "Constant"]
    counts = Counter(
        f"{node.domain}::{node.op_type}" if node.domain else node.op_type for node in nodes
    )
    return dict(counts.most_common())


@contextmanager
def _quiet() -> Iterator[None]:
    """Passes that cannot infer or fold something say so in the log, which is nothing to act on."""
    loggers = [logging.getLogger(name) for name in ("onnx_ir", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
