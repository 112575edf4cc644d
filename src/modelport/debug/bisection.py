"""`bisect`: the first node that differs on the reference's inputs, and the accumulated error."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelport.arrays import Array, Arrays
from modelport.backends import REFERENCE_RUNTIME
from modelport.debug.comparison import Cases, given_cases
from modelport.debug.divergence_report import Culprit, describe, save_culprit
from modelport.debug.layerwise_error import Divergence, TensorPair
from modelport.debug.partial_execution import PartialExecutor, Store
from modelport.debug.reference_tensors import Recorded, record_reference
from modelport.debug.runnable import (
    Source,
    Subject,
    model_of,
    open_subject,
    parse_targets,
    read_source,
    source_name,
    taking,
)
from modelport.debug.submodel import normalized
from modelport.errors import BuildError, UsageError
from modelport.model import Model
from modelport.numerics import (
    Case,
    ComparedCase,
    Judge,
    by_name_or_place,
    compare_case,
    draw_cases,
    run_reference,
    tolerance_for,
)
from modelport.progress import Progress, Stages
from modelport.recipe import Recipe
from modelport.target import Target

BUDGET = 256
"""Mebibytes of tensors in memory at once, roughly."""


@dataclass(frozen=True)
class Bisection:
    """Per-node error of a candidate, and the first node that differs.

    Attributes:
        reference: What says what is right.
        candidate: What is compared with it.
        case: The case that both were run on.
        outputs: The outputs of the whole models on it; None where the candidate or the reference
            does not run as a whole.
        culprit: The first node that differs on the reference's inputs; None if there is none.
        links: Every pair of tensors, in the order of the candidate's graph, with the error of
            their own node (up to the culprit, or of all) and the error that grew up to there.
        not_run: Why nodes of the candidate could not be run, by name.
        notes: What else is to be known.
        seconds: Seconds of every stage, by name.
    """

    reference: str
    candidate: str
    case: Case
    outputs: ComparedCase | None
    culprit: Culprit | None
    links: tuple[TensorPair, ...]
    not_run: Mapping[str, str]
    notes: tuple[str, ...]
    seconds: Mapping[str, float]

    @property
    def ok(self) -> bool:
        """True if no node differs and the outputs agree."""
        return self.culprit is None and (self.outputs is None or self.outputs.ok)

    @property
    def verdict(self) -> str:
        """The result in a few words."""
        if self.culprit is not None:
            return "a node differs on equal inputs"
        if self.ok:
            return "no node differs"
        return "no node differs by itself: the error accumulates, or comes from fusing nodes"

    def to_json(self) -> dict[str, Any]:
        """The result as plain dicts and lists."""
        return {
            "ok": self.ok,
            "verdict": self.verdict,
            "reference": self.reference,
            "candidate": self.candidate,
            "case": {"name": self.case.name, "origin": self.case.origin},
            "outputs": None if self.outputs is None else self.outputs.to_json(),
            "culprit": None if self.culprit is None else self.culprit.to_json(),
            "links": [link.to_json() for link in self.links],
            "not_run": dict(self.not_run),
            "notes": list(self.notes),
            "seconds": dict(self.seconds),
        }


def bisect(
    reference: Source,
    candidate: Source | None = None,
    *,
    targets: str | Sequence[Target | str] | None = None,
    cases: Cases = 3,
    all_nodes: bool = False,
    save: str | os.PathLike[str] | None = None,
    budget: int = BUDGET,
    seed: int = 0,
    progress: Progress | None = None,
) -> Bisection:
    """Finds the first node of a candidate that does not compute what the reference computes.

    The reference's tensors are recorded. Then every node of the candidate is run on the
    reference's values of its inputs, so that an error upstream does not show again downstream: the
    first in topological order whose output lies beyond `node_tolerance_for` is the culprit. Tensors
    are paired by name, by structure, and by the PyTorch module that the exporters record. If the
    tensors right behind a difference agree again, the pair was wrong and is dropped.

    The tensors of a PyTorch model are the outputs of its modules in eager mode. Tensors inside of
    modules come from a capture of the model, if its modules agree with the eager ones.

    Args:
        reference: What says what is right: a recipe or source of a PyTorch model, or an ONNX model.
        candidate: An ONNX model, or a source, which is exported. Without it the reference itself
            is the candidate, on the target.
        targets: ``"a,b"`` or a list: the reference's and the candidate's target, or the
            candidate's alone.
        cases: As for `compare`; the first case on which the outputs differ is looked into.
        all_nodes: Go on behind the first culprit, and give the error of every node.
        save: A folder to which a minimal model of the culprit and its inputs are written.
        budget: Mebibytes of tensors to hold in memory at once, roughly. The reference's tensors
            are kept on disk.
        seed: Seed of what is drawn.
        progress: Told of every stage.

    Returns:
        The culprit, and the errors of all pairs of tensors.

    Raises:
        UsageError: A source, target or case cannot be read, or they do not fit each other.
        ExportError: A PyTorch model as candidate cannot be captured.
        RunError: The reference does not take the case.
    """
    if budget < 1:
        raise UsageError(f"a budget of {budget} MiB is too small", fix="at least 1")
    work = Bisecting(reference, candidate, targets, budget << 20, Stages(progress))
    with tempfile.TemporaryDirectory(prefix="modelport-") as folder:
        return work.walk(Path(folder), cases, seed, save, all_nodes=all_nodes)


class Bisecting:
    """The steps of one bisection."""

    def __init__(
        self,
        reference: Source,
        candidate: Source | None,
        targets: str | Sequence[Target | str] | None,
        budget: int,
        stage: Stages,
    ) -> None:
        parsed_targets = parse_targets(targets)
        self.target = parsed_targets[-1] if parsed_targets else REFERENCE_RUNTIME
        self._own_target = parsed_targets[0] if len(parsed_targets) == 2 else None
        self._budget = budget
        self._stage = stage
        self._reference = graph_or_recipe(reference)
        self._candidate_source = candidate
        self.notes: list[str] = []

    def walk(
        self,
        folder: Path,
        cases: Cases,
        seed: int,
        save: str | os.PathLike[str] | None,
        *,
        all_nodes: bool,
    ) -> Bisection:
        """Runs the bisection, from the sources to the culprit."""
        stage = self._stage
        case, outputs, executor, inputs, recorded = self.prepare(folder, cases, seed)
        divergence = self._part(executor, inputs, recorded, all_nodes=all_nodes)
        culprit = None
        if divergence.first is not None:
            culprit = describe(divergence, executor, recorded)
            if save is not None:
                with stage("save the culprit"):
                    culprit = save_culprit(culprit, divergence, executor, recorded, Path(save))
        return Bisection(
            recorded.name,
            f"{source_name(self._model)} on {self.target}",
            case,
            outputs,
            culprit,
            tuple(divergence.links),
            divergence.not_run,
            tuple(self.notes),
            stage.seconds,
        )

    def prepare(
        self, folder: Path, cases: Cases, seed: int
    ) -> tuple[Case, ComparedCase | None, PartialExecutor, Arrays, Recorded]:
        """Chooses a case and records the reference's tensors on it.

        Returns:
            The case, how the whole models compare on it, the candidate's graph, its inputs, and
            the reference's tensors.
        """
        stage = self._stage
        with stage("open"):
            self._model = self._open_candidate()
            if self._own_target is not None and isinstance(self._reference, Recipe):
                self._reference = exported(self._reference, self._own_target)
            first, second = self._whole(folder)
        with stage("choose a case"):
            case, outputs = self._choose(first, second, cases, seed)
        executor = PartialExecutor(normalized(self._model.ir), self.target)
        inputs = inputs_of(executor, case)
        (folder / "store").mkdir()
        with stage("record the reference"):
            recorded = record_reference(
                self._reference,
                self._own_target,
                executor.ir,
                case.inputs,
                Store(folder / "store"),
                self._budget,
            )
        self.notes += recorded.notes
        return case, outputs, executor, inputs, recorded

    def _part(
        self,
        executor: PartialExecutor,
        inputs: Mapping[str, Array],
        recorded: Recorded,
        *,
        all_nodes: bool,
    ) -> Divergence:
        comparator = recorded.comparator(executor, inputs, self._budget, self.target.precision)
        with self._stage("run the candidate"):
            comparator.grow()
        with self._stage("run each node on equal inputs"):
            return comparator.find_divergence(all_nodes=all_nodes)

    def _open_candidate(self) -> Model:
        if self._candidate_source is not None:
            source = graph_or_recipe(self._candidate_source)
        else:
            source = self._reference
        return exported(source, self.target)

    def _whole(self, folder: Path) -> tuple[Subject | None, Subject | None]:
        """Runs both models as a whole, if their backends can."""
        opened: list[Subject | None] = []
        for name, source, target in (
            ("reference", self._reference, self._own_target),
            ("candidate", self._model, self.target),
        ):
            (folder / name).mkdir()
            try:
                opened.append(
                    open_subject(source, target, folder / name, as_reference=name == "reference")
                )
            except BuildError as error:
                self.notes.append(f"the {name} does not run as a whole: {error.why or error.what}")
                opened.append(None)
        return opened[0], opened[1]

    def _choose(
        self, first: Subject | None, second: Subject | None, cases: Cases, seed: int
    ) -> tuple[Case, ComparedCase | None]:
        """The first case on which the outputs differ, else the first one."""
        fixed = [case for case, _ in given_cases(cases, seed)]
        if first is None or second is None:
            signature = self._model.signature if first is None else first.signature
            drawn = draw_cases(signature, {} if first is None else first.examples, seed=seed)
            own = () if first is None else first.given
            return next(iter([*fixed, *own]), None) or next(drawn), None
        judge = Judge(lambda dtype: tolerance_for(dtype, self.target.precision))
        run = taking(first.signature, second)
        seen: list[tuple[Case, ComparedCase]] = []
        for item in self._references(first, fixed, cases, seed):
            result, _ = compare_case(item.case, item.outputs, run, judge)
            seen.append((item.case, result))
            if not result.ok:
                return item.case, result
        return seen[0]

    def _references(
        self, first: Subject, fixed: Sequence[Case], cases: Cases, seed: int
    ) -> Iterator[Any]:
        """Bisects one case after the other until one differs."""
        for case in fixed or first.given:
            yield from run_reference(first.run, iter(()), [case], count=0)[0]
        if not fixed:
            assert isinstance(cases, int)
            drawn = draw_cases(first.signature, first.examples, first.values, seed)
            yield from run_reference(first.run, drawn, (), count=cases, least=0)[0]


def exported(source: Model | Recipe, target: Target) -> Model:
    """The graph that a target would run, whether or not it is right."""
    if isinstance(source, Model):
        return source
    from modelport.deployment import export

    return export(source, target=target, probes=False)


def graph_or_recipe(source: Source) -> Model | Recipe:
    """The model that a source names; the graph of a bundle."""
    found = read_source(source)
    return model_of(found) if isinstance(found, Path) else found


def inputs_of(executor: PartialExecutor, case: Case) -> Arrays:
    """A case's inputs by the candidate's names."""
    names = {value.name or "": None for value in executor.ir.graph.inputs}
    for name in executor.ir.graph.initializers:
        names.pop(name, None)
    found = by_name_or_place(names, case.inputs)
    missing = [name for name in names if name not in found]
    if missing:
        raise UsageError(f"the case {case.name!r} has no input {', '.join(missing)}")
    return found
