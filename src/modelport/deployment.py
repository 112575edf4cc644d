"""`deploy`: the whole road, walked once."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelport.backends import Engine, get_backend
from modelport.backends.interface import Artifact
from modelport.bundle import BundleWriter, Manifest, require_replaceable
from modelport.capture.exporter import export_recipe, open_program
from modelport.capture.original import Original, open_original
from modelport.errors import ExportError
from modelport.graph import check
from modelport.model import Model
from modelport.progress import Progress, Stages
from modelport.proof import (
    ReferenceCase,
    Verification,
    draw_cases,
    run_reference,
    tolerance_for,
    verify_cases,
)
from modelport.recipe import Recipe, load_recipe
from modelport.report import ReportData, render_report
from modelport.target import Target

_GRAPH = "graphs/model.onnx"


@dataclass(frozen=True)
class Deployment:
    """What `deploy` did.

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
            "verification": _verifications_to_json(self.verifications),
            "seconds": dict(self.seconds),
        }


def deploy(
    source: str | os.PathLike[str] | Recipe,
    output: str | os.PathLike[str],
    *,
    targets: Sequence[Target | str] = ("onnxruntime",),
    opset: int | None = None,
    capture: str | None = None,
    zipped: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Deployment:
    """Takes a model all the way to a verified bundle.

    The model is captured, checked, compiled for every target, run beside the original on cases
    drawn inside the declared ranges, and written with everything that it needs.

    Args:
        source: A recipe, or a source: ``file.py[:factory]``, ``package.module:factory``, a
            ``.onnx`` or a ``.pt2`` file.
        output: The bundle to write, ``NAME.port``; an older bundle there is replaced.
        targets: What to deploy for.
        opset: Opset, in place of the recipe's.
        capture: Capture strategy, in place of the recipe's.
        zipped: Write one zip file instead of a directory.
        seed: Seed of the verification's cases.
        progress: Told of every stage.

    Returns:
        What was done, and how the engines compare.

    Raises:
        UsageError: The source, a target or the output place is wrong.
        ExportError: The model cannot be captured as a valid graph.
        BuildError: A backend refuses the graph.
        ProofError: An engine does not compute what the original computes. Nothing is written.
    """
    output = Path(output)
    require_replaceable(output)
    wanted = list(dict.fromkeys(map(Target.parse, targets)))
    for target in wanted:
        get_backend(target)
    stage = Stages(progress)
    with stage("read the source"):
        recipe = _read_recipe(source, opset, capture)
    with BundleWriter(output, zipped=zipped) as writer:
        with stage("capture"):
            model = export_recipe(recipe)
            (writer.folder / "graphs").mkdir()
            model.save(writer.folder / _GRAPH)
        with stage("check"):
            _require_valid(writer.folder / _GRAPH)
        with stage("compile"):
            artifacts, engines = _compile(writer.folder, model, wanted)
        with stage("run the original"):
            original = open_original(recipe, model.signature)
            cases = draw_cases(original.signature, original.examples, recipe.values, seed)
            references, refused = run_reference(original.run, cases, original.given)
        with stage("verify"):
            verifications = _verify(engines, references, refused)
        with stage("write the bundle"):
            _write_report(writer.folder, model, original, verifications, stage, references, engines)
            writer.commit(
                Manifest(
                    name=recipe.title,
                    signature=model.signature,
                    artifacts=artifacts,
                    cases=writer.add_cases(references),
                    verification=_verifications_to_json(verifications),
                    findings=tuple(dataclasses.asdict(item) for item in model.findings),
                    provenance=model.provenance,
                )
            )
    return Deployment(output, model, verifications, stage.seconds)


def _read_recipe(
    source: str | os.PathLike[str] | Recipe, opset: int | None, capture: str | None
) -> Recipe:
    recipe = source if isinstance(source, Recipe) else load_recipe(os.fspath(source))
    changes: dict[str, Any] = {"opset": opset, "capture": capture}
    changes = {name: value for name, value in changes.items() if value is not None}
    return open_program(dataclasses.replace(recipe, **changes))


def _require_valid(path: Path) -> None:
    result = check(path)
    if not result.ok:
        raise ExportError(
            "the captured graph is not a valid ONNX model",
            why="\n    ".join(map(str, result.problems)),
            fix="try another capture strategy or opset",
        )


def _compile(
    folder: Path, model: Model, targets: Sequence[Target]
) -> tuple[dict[Target, Artifact], dict[Target, Engine]]:
    artifacts, engines = {}, {}
    for target in targets:
        backend = get_backend(target)
        artifacts[target] = backend.compile(folder, _GRAPH, target)
        engines[target] = backend.load(folder, artifacts[target], target, model.signature)
    model.provenance["versions"] |= {
        target.backend: get_backend(target).probe().version for target in targets
    }
    return artifacts, engines


def _verify(
    engines: Mapping[Target, Engine], references: Sequence[ReferenceCase], refused: Sequence[str]
) -> dict[Target, Verification]:
    verifications = {}
    for target, engine in engines.items():
        tolerance = functools.partial(tolerance_for, precision=target.precision)
        verifications[target] = verify_cases(
            references, engine.run_shared, tolerance=tolerance, refused=refused
        )
        verifications[target].require(f"the engine for {target}")
    return verifications


def _write_report(
    folder: Path,
    model: Model,
    original: Original,
    verifications: Mapping[Target, Verification],
    stage: Stages,
    references: Sequence[ReferenceCase],
    engines: Mapping[Target, Engine],
) -> None:
    example = references[0]
    engine = next(iter(engines.values()))
    data = ReportData(
        model=model,
        runner=original.runner,
        verifications=verifications,
        seconds=stage.seconds,
        example=example,
        engine_outputs=engine.run_shared(example.case.inputs),
    )
    (folder / "report.html").write_text(render_report(data), encoding="utf-8")


def _verifications_to_json(verifications: Mapping[Target, Verification]) -> dict[str, Any]:
    return {str(target): dataclasses.asdict(item) for target, item in verifications.items()}
