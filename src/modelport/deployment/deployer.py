"""`deploy`: from a recipe to a verified bundle."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelport.backends import REFERENCE_RUNTIME, Engine, get_backend
from modelport.bundle import require_replaceable
from modelport.capture.attempts import CaptureAttempt, capture_attempts
from modelport.capture.programs import open_program
from modelport.capture.rewriters import common_target
from modelport.deployment.build import Build
from modelport.deployment.failure import failure_folder, keep_failure
from modelport.deployment.plan import Plan
from modelport.deployment.publication import publish, verifications_to_json
from modelport.deployment.verification import LOSSY, Verdict, cleared, verify
from modelport.deployment.workspace import Workspace, Workspaces
from modelport.errors import BuildError, ExportError, ModelportError, ProofError, RunError
from modelport.findings import Finding, Severity
from modelport.graph import check
from modelport.model import Model
from modelport.numerics import Case, Verification
from modelport.precision import EIGHT_BITS, CalibrationTable, calibrate, is_quantized
from modelport.precision.data import CalibrationData, Part, Source
from modelport.progress import Progress, Stages
from modelport.recipe import Recipe, load_recipe
from modelport.report import ReportData, render_report
from modelport.target import Target

_LOG = logging.getLogger("modelport.deployment")

_JUDGED = 20
"""Cases of the data, held out of calibration, that a target of less precision is judged by."""


@dataclass(frozen=True)
class Deployment:
    """Result of `deploy`.

    Attributes:
        path: The bundle.
        model: The graph that was deployed, with findings and provenance.
        verifications: The comparison with the original, by target.
        seconds: Seconds of every stage, by name.
    """

    path: Path
    model: Model
    verifications: Mapping[Target, Verification]
    seconds: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """The deployment as plain dicts and lists."""
        return {
            "bundle": str(self.path),
            "targets": [str(target) for target in self.verifications],
            "signature": self.model.signature.to_json(),
            "findings": [dataclasses.asdict(finding) for finding in self.model.findings],
            "provenance": self.model.provenance,
            "verification": verifications_to_json(self.verifications),
            "seconds": dict(self.seconds),
        }


def deploy(
    source: str | os.PathLike[str] | Recipe,
    output: str | os.PathLike[str],
    *,
    targets: Sequence[Target | str | Plan] = ("onnxruntime",),
    opset: int | None = None,
    capture: str | None = None,
    data: Source | None = None,
    zipped: bool = False,
    seed: int = 0,
    rtol: float | Mapping[str, float] | None = None,
    atol: float | Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> Deployment:
    """Deploys a model: capture, check, build, verify, write a bundle.

    The model is captured, checked, compiled for every target, run beside the original on cases
    drawn inside the declared ranges, and written with everything that it needs.

    Args:
        source: A recipe, or a source: ``file.py[:factory]``, ``package.module:factory``, a
            ``.onnx`` or a ``.pt2`` file.
        output: The bundle to write, ``NAME.port``; an older bundle there is replaced.
        targets: What to deploy for; a plan says by which options, too.
        opset: Opset, in place of the recipe's.
        capture: Capture strategy, in place of the recipe's.
        data: Calibration data, for targets in int8 and fp8; see
            `modelport.precision.data.CalibrationData`. One case of five is not calibrated on:
            targets in int8, fp8 and fp16 are judged by it.
        zipped: Write one zip file instead of a directory.
        seed: Seed of the verification's cases.
        rtol: Bound on an output's error relative to its scale, in place of the recipe's.
        atol: Error that is allowed besides, in place of the recipe's.
        progress: Told of every stage.

    Returns:
        What was done, and how the engines compare.

    Raises:
        UsageError: The source, a target or the output place is wrong.
        ExportError: The model cannot be captured as a valid graph.
        BuildError: A backend refuses the graph.
        ProofError: An engine does not compute what the original computes. No bundle is written.
            Where the graph is right, and an engine alone is wrong, ``OUTPUT.failed`` holds the
            graph, the failing case and a report.
    """
    output = Path(output)
    require_replaceable(output)
    plans = [Plan.of(target) for target in targets]
    for plan in plans:
        get_backend(plan.target)
    stage = Stages(progress)
    with stage("read the source"):
        recipe = source if isinstance(source, Recipe) else load_recipe(os.fspath(source))
        recipe = open_program(
            recipe.with_options(opset=opset, capture=capture, rtol=rtol, atol=atol)
        )
    target = common_target([plan.target for plan in plans])
    attempts = capture_attempts(recipe, target, stage)
    return deploy_attempts(
        attempts, output, plans, data=data, zipped=zipped, seed=seed, stage=stage
    )


def deploy_attempts(
    attempts: Iterable[CaptureAttempt],
    output: Path,
    plans: Sequence[Plan],
    *,
    data: Source | None = None,
    zipped: bool = False,
    seed: int = 0,
    stage: Stages,
) -> Deployment:
    """Deploys the first of some attempts whose engines compute what the reference model computes.

    Args:
        attempts: The attempts; one is asked for only where those before it are wrong.
        output: The bundle to write.
        plans: How to build for each target.
        data: As for `deploy`.
        zipped: As for `deploy`.
        seed: As for `deploy`.
        stage: Told of every stage.

    Returns:
        As `deploy`.

    Raises:
        ModelportError: As for `deploy`.
    """
    plans = list({plan.target: plan for plan in plans}.values())
    failures: list[tuple[str, ModelportError]] = []
    learned: list[Case] = []
    targets = [plan.target for plan in plans]
    with Workspaces(targets, beside=output.parent) as workspaces, stage.attempts():
        for attempt in attempts:
            try:
                with stage("build operators"):
                    workspace = workspaces.new(attempt)
                with stage("check"):
                    _require_valid(workspace)
                table = _calibrated(workspace, plans, data, stage)
                with stage("compile"):
                    builds = [workspace.build(plan, table, stage.progress) for plan in plans]
                    engines = {build.target: workspace.open(build) for build in builds}
                held_out = _held_out(workspace, plans, data)
                verdict = verify(
                    attempt, engines, seed=seed, held_out=held_out, learned=learned, stage=stage
                )
            except (BuildError, ExportError, ProofError) as error:
                _LOG.debug("attempt by %s: refused, %s", attempt.facts.strategy, error.what)
                failures.append((attempt.facts.strategy, error))
                continue
            _log_verdict(verdict)
            if verdict.ok:
                with stage("write the bundle"):
                    model = _described(verdict, builds, engines, table)
                    report = _report(model, verdict, engines)
                    publish(workspace, model, verdict, builds, report, output, zipped=zipped)
                return Deployment(output, model, verdict.verifications, stage.seconds)
            right = cleared(verdict, REFERENCE_RUNTIME, workspace.open_reference())
            if right is not None:
                report = _report(_described(right, builds, engines, table), right, engines)
                raise keep_failure(workspace, right, builds, report, failure_folder(output))
            failures.append((attempt.facts.strategy, verdict.wrong_engine()))
            learned += verdict.counterexamples
        raise _first_of(failures)


def _log_verdict(verdict: Verdict) -> None:
    for target, verification in verdict.verifications.items():
        outcome = "differs from" if target in verdict.wrong else "agrees with"
        cases = len(verification.cases)
        _LOG.debug("%s: %s the reference model on %d cases", target, outcome, cases)
    for name, reason in verdict.references.fragile.items():
        _LOG.debug("case %s: excluded from the comparison, %s", name, reason)
    for finding in verdict.errors:
        _LOG.debug("the graph is wrong: %s", finding)


def _require_valid(workspace: Workspace) -> None:
    result = check(workspace.graph, libraries=workspace.library_paths)
    if not result.ok:
        raise ExportError(
            "the captured graph is not a valid ONNX model",
            why="\n    ".join(map(str, result.problems)),
            fix="try another capture strategy or opset",
        )


def _calibrated(
    workspace: Workspace, plans: Sequence[Plan], data: Source | None, stage: Stages
) -> CalibrationTable | None:
    """The ranges of the graph's tensors, if a target needs them and there are data."""
    model = workspace.model
    is_needed = any(plan.target.precision in EIGHT_BITS and plan.model is None for plan in plans)
    if data is None or not is_needed or is_quantized(model):
        return None
    with stage("calibrate"):
        calibrated = Part(CalibrationData(data, model.signature), held_out=False)
        return calibrate(model, calibrated, libraries=workspace.library_paths)


def _held_out(workspace: Workspace, plans: Sequence[Plan], data: Source | None) -> list[Case]:
    """Cases of the data that nothing is calibrated on, if a target loses precision.

    A single case of data is calibrated on.
    """
    if data is None or not any(plan.target.precision in LOSSY for plan in plans):
        return []
    whole = CalibrationData(data, workspace.model.signature)
    if len(list(itertools.islice(whole, 2))) < 2:
        return []
    return [
        Case(f"held-out-{index}", inputs, "held out of the calibration data")
        for index, inputs in enumerate(itertools.islice(Part(whole, held_out=True), _JUDGED))
    ]


def _described(
    verdict: Verdict,
    builds: Sequence[Build],
    engines: Mapping[Target, Engine],
    table: CalibrationTable | None,
) -> Model:
    """The graph with all findings and its provenance, for people."""
    attempt = verdict.attempt
    findings = list(verdict.findings)
    provenance = dict(attempt.model.provenance)
    versions = dict(attempt.facts.versions)
    if table is not None:
        provenance["calibration"] = {"method": table.method, "cases": table.cases}
    for build in builds:
        plan, engine = build.plan, engines[build.target]
        findings += build.findings
        if plan.quantization:
            provenance["quantization"] = dict(plan.quantization)
        if plan.reason:
            findings.append(Finding("chosen", Severity.NOTE, plan.reason))
        if engine.substituted:
            findings.append(_not_run(build.target, engine.substituted))
        versions[build.target.backend] = get_backend(build.target).version()
    provenance["versions"] = versions
    return dataclasses.replace(attempt.model, findings=findings, provenance=provenance)


def _not_run(target: Target, why: str) -> Finding:
    return Finding(
        "engine-not-run",
        Severity.WARNING,
        f"the engine for {target} was built and did not run: {why}; instead, its graph was "
        "compared, on ONNX Runtime",
        fix="`modelport verify BUNDLE` on a machine that can run it",
    )


def _report(model: Model, verdict: Verdict, engines: Mapping[Target, Engine]) -> str:
    """The report, as HTML."""
    example = verdict.references.cases[0]
    engine = next(iter(engines.values()))
    try:
        outputs = engine.run_shared(example.case.inputs)
    except RunError:
        # The verification has the error; there is nothing to show beside it.
        outputs = {}
    return render_report(
        ReportData(
            model=model,
            runner=verdict.attempt.reference.runner,
            verifications=verdict.verifications,
            example=example,
            engine_outputs=outputs,
        )
    )


def _first_of(failures: Sequence[tuple[str, ModelportError]]) -> ModelportError:
    """The first strategy's error; its reason includes the errors of the others."""
    (_, first), *others = failures
    reasons = [first.why] if first.why else []
    for strategy, error in others:
        why = error.why.splitlines()[0] if error.why else ""
        reasons.append(f"captured by {strategy}: {error.what}" + (f" ({why})" if why else ""))
    first.why = "\n    ".join(reasons) or None
    return first
