"""Verification: what engines compute, beside the reference model."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from modelport.backends import Engine
from modelport.capture.attempts import CaptureAttempt
from modelport.capture.diagnosis import (
    bounded_memory,
    draw_probes,
    example_findings,
    fragile_probes,
    judge,
    run_probes,
    state_findings,
)
from modelport.capture.reference_function import agree, running_by_references
from modelport.deployment.selected_values import judged_by_selection
from modelport.errors import ExportError, ProofError
from modelport.findings import Finding, Severity
from modelport.numerics import (
    CONSTANT,
    EXAMPLE,
    Bounds,
    Case,
    ReferenceCase,
    Verification,
    count_evidence,
    draw_cases,
    far_cases,
    output_scales,
    run_reference,
    tolerance_for,
    verify_cases,
)
from modelport.numerics.verification import MINIMUM_CASES
from modelport.progress import Stages
from modelport.target import Target

RANDOM = "random-op"
_LEARNED = 4
"""Cases that prove an attempt wrong at which the next ones are tried: those of small outputs."""
LOSSY = ("fp16", "bf16", "int8", "fp8")
"""Precisions whose loss depends on the data."""


@dataclass(frozen=True)
class References:
    """Outputs of the reference model.

    Attributes:
        cases: The cases with its outputs, those of the recipe first.
        refused: Cases that it refuses, with its reason.
        fragile: Why cases that were run prove nothing, by name; they are not among `cases`.
        findings: What its outputs alone say about the model.
    """

    cases: tuple[ReferenceCase, ...]
    refused: tuple[str, ...] = ()
    fragile: Mapping[str, str] = dataclasses.field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    def with_notes(self, evidence: Mapping[str, int]) -> References:
        """The same with a note on every output that is the same number in all cases."""
        notes = tuple(
            Finding(
                "output-constant",
                Severity.NOTE,
                f"output {name!r} is the same number in all {len(self.cases)} cases: nothing else "
                "is proven about it",
            )
            for name, count in evidence.items()
            if count == CONSTANT
        )
        return dataclasses.replace(self, findings=(*self.findings, *notes))

    def without(self, fragile: Mapping[str, str]) -> References:
        """The same but for cases that prove nothing."""
        cases = tuple(item for item in self.cases if item.case.name not in fragile)
        return dataclasses.replace(self, cases=cases, fragile={**self.fragile, **fragile})


@dataclass(frozen=True)
class Verdict:
    """Result of the verification of an attempt.

    Attributes:
        attempt: What was verified.
        references: The cases, with what the reference model computed.
        verifications: The comparison, by target.
        findings: What is to be said about the model; its suspicions are settled.
        held_out: Cases of data, with the reference's outputs, that engines of less precision were
            compared on besides.
    """

    attempt: CaptureAttempt
    references: References
    verifications: Mapping[Target, Verification]
    findings: tuple[Finding, ...]
    held_out: tuple[ReferenceCase, ...] = ()

    @property
    def errors(self) -> list[Finding]:
        """The errors among the findings: what proves that the graph is another model."""
        return [item for item in self.findings if item.severity is Severity.ERROR]

    @property
    def wrong(self) -> list[Target]:
        """The targets whose engines differ from the reference model."""
        return [target for target, item in self.verifications.items() if not item.ok]

    @property
    def ok(self) -> bool:
        """True if nothing differs."""
        return not self.wrong and not self.errors

    @property
    def counterexamples(self) -> list[Case]:
        """Inputs at which an engine differs, a few, under names of this attempt."""
        failed = {item.case for each in self.verifications.values() for item in each.failed}
        found = [item for item in self.references.cases if item.case.name in failed - {EXAMPLE}]
        found.sort(key=lambda item: sum(array.size for array in item.outputs.values()))
        strategy = self.attempt.facts.strategy
        return [
            dataclasses.replace(item.case, name=f"{strategy}-{item.case.name}")
            for item in found[:_LEARNED]
        ]

    @property
    def explanations(self) -> list[str]:
        """Explanations of a difference, where they are known."""
        return [f"[{finding.rule}] {finding.message}" for finding in self.errors]

    def wrong_engine(self) -> ProofError:
        """The error for the first engine that differs."""
        target = self.wrong[0]
        failed = self.verifications[target].failed
        count = len(self.verifications[target].cases)
        return ProofError(
            f"the engine for {target} does not compute what the original model computes",
            where="\n    ".join(map(str, failed[:3])),
            why="\n    ".join([f"{len(failed)} of {count} cases differ", *self.explanations]),
            fix="`modelport diagnose SOURCE` names frozen values, with their source lines",
        )

    def wrong_capture(self) -> ExportError:
        """The error for a graph that is proven to be another model."""
        return ExportError(
            f"what {self.attempt.facts.strategy} captured is not the same model",
            where=self.errors[0].where,
            why="\n    ".join(self.explanations),
            fix=self.errors[0].fix,
            findings=list(self.findings),
        )


def verify(
    attempt: CaptureAttempt,
    engines: Mapping[Target, Engine],
    *,
    seed: int = 0,
    drawn: int = MINIMUM_CASES,
    held_out: Sequence[Case] = (),
    learned: Sequence[Case] = (),
    stage: Stages | None = None,
) -> Verdict:
    """Runs engines beside the reference model, and judges the attempt that they were built of.

    The cases are those that the recipe has, probes that are chosen to break what is suspected, and
    drawn ones. What the runs make the reference model remember is put back.

    Args:
        attempt: What the engines were built of.
        engines: The engines, by target.
        seed: Seed of the probes and of the drawn cases.
        drawn: How many cases are drawn beside the probes; the recipe's own count among them.
        held_out: Cases of data that nothing was calibrated on; engines of less precision are judged
            by them, too.
        learned: Cases at which other attempts at the same model were wrong.
        stage: Told of the stages.

    Returns:
        The verdict.

    Raises:
        RunError: The reference model refuses a case that it was given with.
        ProofError: Too few cases prove anything.
    """
    stage = stage or Stages()
    with attempt.reference.unchanged():
        with stage("run the original"), running_by_references():
            references = run_references(attempt, seed, drawn, learned)
        with stage("verify"):
            verifications = compare_engines(attempt, references, engines)
            fragile = _fragile(attempt, references, verifications)
            references = references.without(fragile)
            if drawn and fragile:
                _require_enough(attempt, references)
            cases = [item.case for item in references.cases]
            verifications = {
                target: item.without(fragile | far_cases(cases, target.precision))
                for target, item in verifications.items()
            }
            evidence = count_evidence(references.cases)
            if drawn:
                _require_evidence(evidence, references)
            verifications = {
                target: dataclasses.replace(item, evidence=evidence)
                for target, item in verifications.items()
            }
            references = references.with_notes(evidence)
            first = next(iter(verifications.values()), Verification(()))
            findings = settled(attempt, references, first)
            lossy = {target: item for target, item in engines.items() if target.precision in LOSSY}
            data = _data_references(attempt, held_out) if lossy else ()
            verifications = _with_data(attempt, data, lossy, verifications)
            if drawn and not held_out:
                findings += _guesses(engines)
    return Verdict(attempt, references, verifications, tuple(findings), data)


def _data_references(
    attempt: CaptureAttempt, held_out: Sequence[Case]
) -> tuple[ReferenceCase, ...]:
    with running_by_references():
        run = attempt.reference.run
        return tuple(ReferenceCase(case, run(case.inputs)) for case in held_out)


def _with_data(
    attempt: CaptureAttempt,
    data: tuple[ReferenceCase, ...],
    engines: Mapping[Target, Engine],
    verifications: Mapping[Target, Verification],
) -> dict[Target, Verification]:
    """Judges engines of less precision by data as well; the bundle keeps none of them."""
    found = dict(verifications)
    compared = compare_engines(attempt, References(data), engines) if data else {}
    for target, result in compared.items():
        cases = (*found[target].cases, *result.cases)
        found[target] = dataclasses.replace(found[target], cases=cases)
    return found


def _guesses(engines: Iterable[Target]) -> list[Finding]:
    """Notes on targets whose loss was measured without data."""
    return [
        Finding(
            "loss-guessed",
            Severity.NOTE,
            f"the loss of {target} was measured on the example and on noise like it: for real "
            "inputs it is a guess",
            fix="pass data, --data FOLDER: every fifth case is not calibrated on, and judged by",
        )
        for target in engines
        if target.precision in LOSSY
    ]


def cleared(verdict: Verdict, target: Target, engine: Engine) -> Verdict | None:
    """The verdict on a graph that is right although an engine that was built of it is wrong.

    Args:
        verdict: What says that an engine is wrong.
        target: Another target.
        engine: Its engine.

    Returns:
        The same verdict with findings that the other engine's results settle; None where that
        engine differs as well, so that the graph itself is wrong.
    """
    attempt, references = verdict.attempt, verdict.references
    with attempt.reference.unchanged():
        compared = compare_engines(attempt, references, {target: engine})
        found = compared[target].without(_fragile(attempt, references, compared))
        if not found.cases or not found.ok:
            return None
        return dataclasses.replace(verdict, findings=tuple(settled(attempt, references, found)))


def run_references(
    attempt: CaptureAttempt, seed: int, drawn: int, learned: Sequence[Case] = ()
) -> References:
    """Runs the reference model on its own cases, on probes, on learned and on drawn cases."""
    reference = attempt.reference
    cases: list[ReferenceCase] = []
    refused: list[str] = []
    findings: list[Finding] = []
    if reference.given:
        cases, refused = _run_probes(attempt, seed)
        findings = _output_findings(attempt, cases[0])
    for case in learned:
        with bounded_memory():
            cases.append(ReferenceCase(case, reference.run(case.inputs)))
    if drawn:
        values = {**reference.values, **attempt.recipe.values}
        pool = draw_cases(reference.signature, reference.examples, values, seed)
        # Further cases of the recipe's own count: it knows which sizes go together.
        least = max(0, drawn - len(reference.given[1:]))
        more, declined = run_reference(reference.run, pool, count=drawn, least=least)
        cases += more
        refused += declined
    return References(tuple(cases), tuple(refused), {}, tuple(findings))


def _run_probes(attempt: CaptureAttempt, seed: int) -> tuple[list[ReferenceCase], list[str]]:
    suspicions = attempt.suspicions
    traced = attempt.facts.strategy == "trace"
    thorough = traced or any(not suspicion.is_specific for suspicion in suspicions)
    values = attempt.recipe.values
    probes = draw_probes(
        attempt.reference, suspicions, values, seed, thorough=thorough, shadow=attempt.shadow
    )
    return run_probes(attempt.reference, probes)


def _output_findings(attempt: CaptureAttempt, example: ReferenceCase) -> list[Finding]:
    """Findings from the example's outputs, with and without torch's export flag."""
    reference = attempt.reference
    if reference.run_plainly is None or _is_random(attempt.model.findings):
        return []
    plain = reference.run_plainly()
    again = plain.again or {}
    is_steady = agree(plain.outputs, example.outputs) and agree(plain.outputs, again)
    found = [] if is_steady else reference.random_findings()
    if not _is_random(found):
        found += state_findings(reference, plain)
        found += example_findings(attempt.model.ir, plain, example.outputs)
    return found


def compare_engines(
    attempt: CaptureAttempt, references: References, engines: Mapping[Target, Engine]
) -> dict[Target, Verification]:
    """Runs engines on the references' cases, each within the tolerance of its precision."""
    found = {}
    scales = output_scales(references.cases)
    bounds = Bounds(attempt.recipe.rtol, attempt.recipe.atol)
    for target, engine in engines.items():
        tolerance = functools.partial(tolerance_for, precision=target.precision)
        result = verify_cases(
            references.cases,
            engine.run_shared,
            tolerance=tolerance,
            refused=references.refused,
            scales=scales,
            exact=attempt.reference.run_in_float64,
            bounds=bounds,
        )
        if not result.ok:
            result = judged_by_selection(
                attempt.model, references.cases, result, engine.run_shared, tolerance
            )
        found[target] = dataclasses.replace(result, substituted=engine.substituted)
    return found


def _fragile(
    attempt: CaptureAttempt,
    references: References,
    verifications: Mapping[Target, Verification],
) -> dict[str, str]:
    """Failed cases that prove nothing, by name, with the reason; see `fragile_probes`."""
    found: dict[str, str] = {}
    for item in verifications.values():
        if item.ok:
            continue
        found |= fragile_probes(
            attempt.reference, attempt.model.ir, attempt.suspicions, references.cases, item.cases
        )
    # What differs on the user's own example is never excused.
    found.pop(EXAMPLE, None)
    return found


def _require_evidence(evidence: Mapping[str, int], references: References) -> None:
    """Requires enough cases that prove something about each output that is no constant."""
    for name, count in evidence.items():
        if count == CONSTANT or count >= min(MINIMUM_CASES, len(references.cases)):
            continue
        raise ProofError(
            f"only {count} of {len(references.cases)} cases prove anything about output {name!r}",
            why="it is NaN or infinite in the others, and NaN beside NaN says nothing",
            fix="give five cases with finite outputs with Recipe(cases=...), or say how values are "
            "drawn with Recipe(values=...)",
        )


def _require_enough(attempt: CaptureAttempt, references: References) -> None:
    left, fragile = len(references.cases), references.fragile
    if left >= MINIMUM_CASES:
        return
    by_chance = [item.message for item in attempt.reference.random_findings()]
    raise ProofError(
        f"only {left} of {left + len(fragile)} cases prove anything about the model",
        why="\n    ".join([*by_chance, *fragile.values()][:3]),
        fix="give five cases at which the model is steady with Recipe(cases=...)",
    )


def settled(
    attempt: CaptureAttempt, references: References, verification: Verification
) -> list[Finding]:
    """The model's findings, with suspicions turned into what a comparison says of them."""
    findings = [*attempt.model.findings, *references.findings]
    if not _is_random(findings) and not verification.ok:
        findings += attempt.reference.random_findings()
    # Of a model that draws random numbers, two runs of itself differ as well.
    measure = Verification(()) if _is_random(findings) else verification
    judged, unmoved = judge(attempt.suspicions, measure, attempt.reference.signature)
    return [*judged, *findings, *unmoved]


def _is_random(findings: Sequence[Finding]) -> bool:
    return any(finding.rule == RANDOM for finding in findings)
