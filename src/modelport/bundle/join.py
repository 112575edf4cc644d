"""Several bundles as one: a pipeline of models."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shutil import copytree
from typing import Any

from modelport.bundle.environment import this_machine
from modelport.bundle.manifest import Manifest
from modelport.bundle.reader import Bundle
from modelport.bundle.writer import BundleWriter
from modelport.errors import ModelportError, UsageError
from modelport.findings import Finding, Severity
from modelport.numerics import Case, ReferenceCase
from modelport.pipeline import Result
from modelport.pipeline.stages import Stage, StagedEngine, signature_of


def join_stages(
    stages: Sequence[Stage],
    output: str | os.PathLike[str],
    *,
    outputs: Mapping[str, str],
    result: Result | None = None,
    name: str = "pipeline",
    zipped: bool = False,
    trust: bool = False,
) -> Path:
    """Puts several models into one bundle, which `load` opens as one engine.

        join_stages(
            [
                Stage("detect", "det.port", {"image": "image"}),
                Stage("classify", "cls.port", {"image": "detect.crops"}, batch=16),
            ],
            "both.port",
            outputs={"boxes": "detect.boxes", "labels": "classify.labels"},
        )

    The joined model is run on the reference cases of its first stages; the outputs are stored for
    its self-test. If it does not run here, a finding names the reason.

    Args:
        stages: The stages, each after those that it reads; their bundles were deployed before.
        output: The bundle to write.
        outputs: The outputs of the whole: ``stage.output`` by name.
        result: What the outputs mean.
        name: The name of the whole.
        zipped: Write one zip file instead of a directory.
        trust: Whether code in the stages' bundles may be run here, for the reference cases, that
            was neither built on this machine nor signed by a known key.

    Returns:
        The bundle.

    Raises:
        UsageError: A stage reads what is not there, or its bundle cannot be read.
        BundleError: A bundle was altered.
    """
    if not stages:
        raise UsageError("a pipeline has at least one stage")
    with contextlib.ExitStack() as opened, BundleWriter(Path(output), zipped=zipped) as writer:
        bundles = {
            stage.name: opened.enter_context(Bundle.open(stage.bundle, trust=trust))
            for stage in stages
        }
        signatures = {stage: bundle.manifest.signature for stage, bundle in bundles.items()}
        signature = signature_of(stages, signatures, outputs)
        if result is not None:
            result.require_outputs(list(outputs))
        placed = [dataclasses.replace(item, bundle=f"stages/{item.name}") for item in stages]
        for stage in placed:
            copytree(bundles[stage.name].folder, writer.folder / stage.bundle)
        cases, findings = _run_cases(stages, bundles, outputs)
        writer.commit(
            Manifest(
                name=name,
                signature=signature,
                artifacts={},
                cases=writer.add_cases(cases) if cases else (),
                findings=findings,
                stages=tuple(item.to_json() for item in placed),
                outputs=dict(outputs),
                result=None if result is None else result.to_json(),
                provenance=_provenance(bundles),
            )
        )
    return Path(output)


def _run_cases(
    stages: Sequence[Stage], bundles: Mapping[str, Bundle], outputs: Mapping[str, str]
) -> tuple[list[ReferenceCase], tuple[dict[str, str], ...]]:
    """Outputs of the joined model on the stages' reference cases; findings if it does not run."""
    made: list[ReferenceCase] = []
    try:
        engines = {stage: bundle.load() for stage, bundle in bundles.items()}
    except ModelportError as error:
        return made, (_not_run("it does not open here", error),)
    whole, findings = StagedEngine(stages, engines, outputs), []
    for case in _cases(stages, bundles):
        try:
            made.append(ReferenceCase(case, whole.run(case.inputs)))
        except ModelportError as error:
            findings.append(_not_run(f"it does not take the inputs of {case.name!r}", error))
    whole.close()
    return made, tuple(findings)


def _cases(stages: Sequence[Stage], bundles: Mapping[str, Bundle]) -> Iterator[Case]:
    """Inputs of the joined model, each from the first stage that reads it."""
    takers: dict[str, tuple[str, str]] = {}
    for stage in stages:
        for own, source in stage.inputs.items():
            if "." not in source:
                takers.setdefault(source, (stage.name, own))
    kept = {stage: bundles[stage].reference_cases() for stage, _ in takers.values()}
    for number in range(min(map(len, kept.values()), default=0)):
        inputs = {
            source: kept[taker][number].case.inputs[own] for source, (taker, own) in takers.items()
        }
        first, _ = next(iter(takers.values()))
        yield Case(kept[first][number].case.name, inputs, f"of the stage {first}")


def _not_run(what: str, error: ModelportError) -> dict[str, str]:
    finding = Finding(
        "pipeline-not-run",
        Severity.WARNING,
        f"the pipeline was not run when it was joined: {what}: {error.what}",
        fix=error.fix or "",
    )
    return dataclasses.asdict(finding)


def _provenance(bundles: Mapping[str, Bundle]) -> dict[str, Any]:
    """Facts of this machine, and the versions of all stages."""
    versions: dict[str, str] = {}
    for bundle in bundles.values():
        versions |= bundle.manifest.versions
    return {"versions": versions, "machine": this_machine()}
