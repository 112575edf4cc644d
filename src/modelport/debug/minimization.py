"""`shrink`: a failing model becomes a minimal one that still fails."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.arrays import Array
from modelport.backends import REFERENCE_RUNTIME
from modelport.child_process import python_command
from modelport.debug.bisection import BUDGET, Bisecting, exported, graph_or_recipe, inputs_of
from modelport.debug.comparison import Cases, given_cases
from modelport.debug.partial_execution import PartialExecutor, Store
from modelport.debug.predicates import (
    Fails,
    FailureTest,
    OutsideFailure,
    WrongResult,
    exit_code,
    outcome_of,
)
from modelport.debug.runnable import Source, parse_targets
from modelport.debug.submodel import normalized
from modelport.errors import ProofError
from modelport.model import Model
from modelport.numerics import Case, draw_cases, write_case
from modelport.progress import Progress, Stages
from modelport.target import Target

if TYPE_CHECKING:
    import onnx_ir


WRONG = "wrong"
_TIMEOUT = 600.0


@dataclass(frozen=True)
class Reduction:
    """A minimal model that fails as the whole one does.

    Attributes:
        nodes: Names of the nodes that are left.
        before: Number of nodes of the whole model, without constants.
        tests: How many models were tried.
        model: The minimal model.
        case: Its inputs, and what is expected of them where that is known.
        rerun: The command that shows the failure on it.
    """

    nodes: tuple[str, ...]
    before: int
    tests: int
    model: Path
    case: Path
    rerun: str

    def to_json(self) -> dict[str, Any]:
        """The reduction as plain dicts and lists."""
        return {
            "nodes": list(self.nodes),
            "before": self.before,
            "tests": self.tests,
            "model": str(self.model),
            "case": str(self.case),
            "rerun": self.rerun,
        }


def shrink(
    reference: Source,
    candidate: Source | None = None,
    *,
    by: str | Fails = WRONG,
    save: str | os.PathLike[str],
    targets: str | Sequence[Target | str] | None = None,
    cases: Cases = 3,
    budget: int = BUDGET,
    seed: int = 0,
    timeout: float = _TIMEOUT,
    progress: Progress | None = None,
) -> Reduction:
    """Shrinks a failing model to a minimal one.

    Nodes are removed as long as the rest still fails; a tensor without its producer becomes an
    input with the value that it had. The search is ddmin (A. Zeller and R. Hildebrandt,
    Simplifying and Isolating Failure-Inducing Input, 2002): no single node of the result can be
    left out.

    Args:
        reference: What says what is right; for a crash or a command, the model itself.
        candidate: The failing model; the reference on the target by default.
        by: What failing means: ``wrong`` for outputs that differ from the reference's, ``crash``
            for a backend that fails or dies in a child process, a shell command with ``{model}``
            and, if it likes, ``{case}`` in it (it fails by its exit code), or a function of both
            paths. A crash or exit code must remain the one of the whole model.
        save: The folder to which the minimal model and its inputs are written.
        targets: As for `bisect`.
        cases: As for `compare`; the first that fails is looked into.
        budget: Mebibytes of tensors in memory at once, roughly.
        seed: Seed of what is drawn.
        timeout: Seconds after which a child process counts as failed.
        progress: Told of every stage.

    Returns:
        The minimal model.

    Raises:
        UsageError: Something cannot be read, or the command has no ``{model}``.
        ProofError: The whole model does not fail.
    """
    stage = Stages(progress)
    parsed_targets = parse_targets(targets)
    target = parsed_targets[-1] if parsed_targets else REFERENCE_RUNTIME
    with tempfile.TemporaryDirectory(prefix="modelport-") as name:
        folder = Path(name)
        test: FailureTest
        if by == WRONG:
            work = Bisecting(reference, candidate, targets, budget << 20, stage)
            _, _, executor, inputs, recorded = work.prepare(folder, cases, seed)
            test = WrongResult(executor, inputs, recorded)
        else:
            with stage("open"):
                source = graph_or_recipe(reference if candidate is None else candidate)
                model = exported(source, target)
                executor = PartialExecutor(normalized(model.ir), target)
                inputs = inputs_of(executor, _first_case(model, cases, seed))
            with stage("record the tensors"):
                store = _record_in_child(executor, inputs, folder, budget, timeout)
            test = OutsideFailure(executor, inputs, store, outcome_of(by, target, timeout), folder)
        with stage("shrink"):
            nodes = _minimal(executor, test)
        made = test.write(nodes, Path(save))
    return Reduction(
        tuple(node.name or "" for node in nodes),
        len(executor.ir.graph),
        test.count,
        made[0],
        made[1],
        test.command(*made),
    )


def _first_case(model: Model, cases: Cases, seed: int) -> Case:
    fixed = [case for case, _ in given_cases(cases, seed)]
    return fixed[0] if fixed else next(draw_cases(model.signature, {}, seed=seed))


def _minimal(executor: PartialExecutor, test: FailureTest) -> list[onnx_ir.Node]:
    nodes = list(executor.ir.graph)
    if not test(nodes):
        raise ProofError(
            "there is nothing to shrink: the whole model does not fail",
            fix="give the case on which it fails with --cases, or compare first",
        )
    return ddmin(nodes, test)


def ddmin(items: list[Any], fails: Callable[[list[Any]], bool]) -> list[Any]:
    """Minimal items that still fail: leaving out any single one makes the failure go away.

    Args:
        items: All items; they fail.
        fails: Whether some of them, in their order, fail.

    Returns:
        Some of the items, in their order.
    """
    parts = 2
    while len(items) >= 2:
        size = -(-len(items) // parts)
        chunks = [items[start : start + size] for start in range(0, len(items), size)]
        found = next((chunk for chunk in chunks if fails(chunk)), None)
        if found is not None:
            items, parts = found, 2
            continue
        rests = (
            [item for other in chunks if other is not chunk for item in other] for chunk in chunks
        )
        rest = next((rest for rest in rests if len(chunks) > 2 and fails(rest)), None)
        if rest is not None:
            items, parts = rest, max(parts - 1, 2)
        elif size == 1:
            break
        else:
            parts = min(2 * parts, len(items))
    return items


def _record_in_child(
    executor: PartialExecutor, inputs: dict[str, Array], folder: Path, budget: int, timeout: float
) -> Store:
    """Tensors of a model, recorded by a process that may crash: all up to the crash."""
    (folder / "store").mkdir()
    path = Model(executor.ir).save(folder / "whole.onnx")
    case = write_case(folder / "whole.npz", inputs, {})
    words = (path, case, "--record", folder / "store", budget)
    exit_code(python_command("modelport.debug.crash_worker", *words), timeout)
    return Store.opened(folder / "store")
