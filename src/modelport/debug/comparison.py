"""`compare`: two models, or one on two backends or precisions, without a bundle."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelport.debug.runnable import Source, Subject, open_subject, parse_targets, taking
from modelport.errors import UsageError
from modelport.numerics import (
    Bounds,
    Case,
    ComparedCase,
    Judge,
    Metric,
    ReferenceCase,
    Tolerance,
    compare_case,
    draw_cases,
    generated_cases,
    read_case,
    read_cases,
    run_reference,
    tolerance_for,
    write_case,
)
from modelport.progress import Progress, Stages
from modelport.recipe import load_function
from modelport.target import Target

Cases = int | str | os.PathLike[str] | Sequence[Mapping[str, Any]]
DRAWN = 5
RECORDED = "the recorded outputs"


@dataclass(frozen=True)
class Comparison:
    """Two models side by side.

    Attributes:
        reference: What says what is right, and what ran it.
        candidate: What is compared with it, and what ran it.
        cases: The cases.
        refused: Drawn cases that the reference itself refused, with its reason.
        seed: Seed of what was drawn.
        rerun: The command that runs the first failing case again; empty where none was saved.
        seconds: Seconds of every stage, by name.
    """

    reference: str
    candidate: str
    cases: tuple[ComparedCase, ...]
    refused: tuple[str, ...]
    seed: int
    rerun: str
    seconds: Mapping[str, float]

    @property
    def ok(self) -> bool:
        """True if every case agrees."""
        return all(case.ok for case in self.cases)

    def to_json(self) -> dict[str, Any]:
        """The comparison as plain dicts and lists."""
        return {
            "ok": self.ok,
            "reference": self.reference,
            "candidate": self.candidate,
            "seed": self.seed,
            "rerun": self.rerun,
            "refused": list(self.refused),
            "cases": [case.to_json() for case in self.cases],
            "seconds": dict(self.seconds),
        }


def compare(
    reference: Source,
    candidate: Source | None = None,
    *,
    targets: str | Sequence[Target | str] | None = None,
    cases: Cases = DRAWN,
    save_io: str | os.PathLike[str] | None = None,
    failures: str | os.PathLike[str] | None = None,
    metrics: Mapping[str, Metric] | None = None,
    rtol: float | Mapping[str, float] | None = None,
    atol: float | Mapping[str, float] | None = None,
    seed: int = 0,
    trust: bool = False,
    progress: Progress | None = None,
) -> Comparison:
    """Runs two models on the same inputs, and measures their differences.

    Args:
        reference: What says what is right: a recipe or a source of one (it runs in PyTorch), an
            ONNX file or model (it runs in ONNX Runtime without graph optimizations), or a bundle.
        candidate: What is compared with it. Without it the reference itself is the candidate, on
            the target; or, where the cases have recorded outputs, it is compared with those.
        targets: ``"a,b"`` or a list: the reference's and the candidate's target, or the
            candidate's alone. ONNX Runtime on the CPU by default.
        cases: How many to draw; a folder of ``.npz`` files or one of them; a script with a
            function ``cases(rng)`` (or ``script.py:function``) that yields dicts of arrays; or
            such dicts.
        save_io: A folder to which inputs and both models' outputs of every case are written.
        failures: A folder to which failing cases are written, so that they can be run again.
        metrics: Further functions of expected and actual array, by name; a figure is shown, and
            False is a failure.
        rtol: Bound on an output's error as a whole, relative to its rms, in place of the one for
            its dtype; a single element may be ten times worse. One number for all float outputs, or
            by output name.
        atol: Error that is allowed besides, in the output's own unit; likewise.
        seed: Seed of what is drawn.
        trust: Whether bundles may bring code that is not known here; as for `modelport.load`.
        progress: Told of every stage.

    Returns:
        The comparison; a candidate that fails to run is part of it.

    Raises:
        UsageError: A source, target or case cannot be read, or they do not fit each other.
        ExportError: A PyTorch model for a target cannot be captured.
        BuildError: A backend refuses a model.
        RunError: The reference refuses a case of `cases`.
        ProofError: The reference refuses too many drawn cases.
    """
    stage = Stages(progress)
    bounds = Bounds(rtol, atol)
    parsed_targets = parse_targets(targets)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with stage("open"):
            fixed = given_cases(cases, seed)
            recorded = candidate is None and bool(fixed) and all(out for _, out in fixed)
            first, second = _open_pair(
                reference, candidate, parsed_targets, folder, alone=recorded, trust=trust
            )
        with stage("run the reference"):
            references, refused = _references(first, fixed, cases, seed, recorded)
        naming = _Naming(reference, candidate, parsed_targets, trust)
        side = _SideBySide(first, second, _judge(first, second, metrics, bounds), save_io, failures)
        with stage("compare"):
            results = tuple(map(side, references))
    failed = next((case for case in results if case.saved and not case.ok), None)
    return Comparison(
        RECORDED if recorded else first.name,
        second.name,
        results,
        tuple(refused),
        seed,
        naming.command(failed.saved) if failed and not recorded else "",
        stage.seconds,
    )


@dataclass(frozen=True)
class _Naming:
    """Arguments of the command line, for the command that runs a case again."""

    reference: Source
    candidate: Source | None
    targets: Sequence[Target]
    trust: bool

    def command(self, case: str) -> str:
        sources = [item for item in (self.reference, self.candidate) if item is not None]
        if not all(isinstance(item, str | os.PathLike) for item in sources):
            return ""
        words = ["modelport", "compare", *(os.fspath(item) for item in sources)]  # type: ignore[arg-type]
        if self.targets:
            words += ["--target", ",".join(map(str, self.targets))]
        if self.trust:
            words.append("--trust")
        return shlex.join([*words, "--cases", case])


def _open_pair(
    reference: Source,
    candidate: Source | None,
    targets: Sequence[Target],
    folder: Path,
    *,
    alone: bool,
    trust: bool,
) -> tuple[Subject, Subject]:
    (folder / "reference").mkdir()
    (folder / "candidate").mkdir()
    own = targets[-1] if targets else None
    source = reference if candidate is None else candidate
    second = open_subject(source, own, folder / "candidate", as_reference=False, trust=trust)
    if alone:
        return second, second
    others = targets[0] if len(targets) == 2 else None
    first = open_subject(reference, others, folder / "reference", as_reference=True, trust=trust)
    return first, second


def given_cases(cases: Cases, seed: int) -> list[tuple[Case, dict[str, Any]]]:
    """Cases that are not drawn, with their recorded outputs."""
    if isinstance(cases, int):
        if cases < 1:
            raise UsageError(f"{cases} cases cannot be drawn", fix="at least 1")
        return []
    if not isinstance(cases, str | os.PathLike):
        made = generated_cases(lambda _: cases, "the caller", seed)
        return [(case, {}) for case in made]
    text = os.fspath(cases)
    if Path(text).is_dir():
        return read_cases(Path(text))
    if text.endswith(".npz"):
        return [read_case(Path(text))]
    function = load_function(text, "cases")
    return [(case, {}) for case in generated_cases(function, text, seed)]


def _references(
    subject: Subject,
    fixed: Sequence[tuple[Case, dict[str, Any]]],
    cases: Cases,
    seed: int,
    recorded: bool,
) -> tuple[list[ReferenceCase], list[str]]:
    if recorded:
        return [ReferenceCase(case, outputs) for case, outputs in fixed], []
    if fixed:
        return run_reference(subject.run, iter(()), [case for case, _ in fixed], count=0)
    assert isinstance(cases, int)
    drawn = draw_cases(subject.signature, subject.examples, subject.values, seed)
    return run_reference(subject.run, drawn, subject.given, count=cases)


def _judge(
    first: Subject,
    second: Subject,
    metrics: Mapping[str, Metric] | None,
    bounds: Bounds,
) -> Judge:
    precisions = {first.precision, second.precision} - {"fp32"}

    def tolerance(dtype: str) -> Tolerance:
        found = [tolerance_for(dtype, precision) for precision in precisions or {"fp32"}]
        return max(found, key=lambda item: item.overall)

    return Judge(tolerance, metrics or {}, bounds=bounds)


class _SideBySide:
    """Runs the candidate on one case after the other, and saves inputs and outputs."""

    def __init__(
        self,
        first: Subject,
        second: Subject,
        judge: Judge,
        save_io: str | os.PathLike[str] | None,
        failures: str | os.PathLike[str] | None,
    ) -> None:
        self._run = taking(first.signature, second)
        self._judge = judge
        self._save_io = None if save_io is None else Path(save_io)
        self._failures = None if failures is None else Path(failures)

    def __call__(self, item: ReferenceCase) -> ComparedCase:
        result, actual = compare_case(item.case, item.outputs, self._run, self._judge)
        inputs = item.case.inputs
        saved = ""
        if self._save_io is not None:
            path = self._save_io / f"{item.case.name}.npz"
            saved = str(write_case(path, inputs, item.outputs, actual))
        if self._failures is not None and not result.ok:
            path = self._failures / f"{item.case.name}.npz"
            saved = str(write_case(path, inputs, item.outputs, actual))
        return ComparedCase(result.case, result.outputs, result.failure, saved)
