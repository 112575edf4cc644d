"""`deploy`: the whole road, walked once."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelport.backends import Engine, get_backend, open_engine
from modelport.backends.interface import GRAPH, Artifact
from modelport.backends.torch.program import program_of
from modelport.bundle import BundleWriter, Manifest, require_replaceable
from modelport.bundle.machine import this_machine
from modelport.capture.captures import Captured, captures
from modelport.capture.programs import open_program, write_program
from modelport.capture.rewriters import common_target
from modelport.compilation import Compiled, Plan, compile_model
from modelport.errors import BuildError, ExportError, ModelportError, ProofError
from modelport.findings import Finding, Severity
from modelport.graph import check
from modelport.model import Model
from modelport.ops.libraries import collect_libraries, collect_sources
from modelport.precision import EIGHT_BITS, CalibrationTable, calibrate, is_quantized, widen
from modelport.precision.data import Source
from modelport.progress import Progress, Stages
from modelport.proof import (
    ReferenceCase,
    Verification,
    draw_cases,
    far_cases,
    run_reference,
    tolerance_for,
    verify_cases,
)
from modelport.proof.verification import MINIMUM_CASES
from modelport.recipe import Recipe, load_recipe
from modelport.report import ReportData, render_report
from modelport.target import Target


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
    targets: Sequence[Target | str | Plan] = ("onnxruntime",),
    opset: int | None = None,
    capture: str | None = None,
    data: Source | None = None,
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
        targets: What to deploy for; a plan says by which options, too.
        opset: Opset, in place of the recipe's.
        capture: Capture strategy, in place of the recipe's.
        data: Calibration data, for targets in int8 and fp8; see
            `modelport.precision.data.CalibrationData`.
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
    plans = {plan.target: plan for plan in map(Plan.of, targets)}
    for target in plans:
        get_backend(target)
    stage = Stages(progress)
    with stage("read the source"):
        recipe = _read_recipe(source, opset, capture)
    with BundleWriter(output, zipped=zipped) as writer:
        road = _Road(recipe, plans, writer.folder, stage, seed, data)
        road.walk()
        with stage("write the bundle"):
            (writer.folder / "report.html").write_text(road.report(), encoding="utf-8")
            writer.commit(
                Manifest(
                    name=recipe.title,
                    signature=road.model.signature,
                    artifacts=road.artifacts,
                    cases=writer.add_cases(road.references),
                    verification=_verifications_to_json(road.verifications),
                    findings=tuple(dataclasses.asdict(item) for item in road.model.findings),
                    provenance={**road.model.provenance, "machine": this_machine()},
                    result=recipe.result and recipe.result.to_json(),
                )
            )
    return Deployment(output, road.model, road.verifications, stage.seconds)


class _Road:
    """The road from a recipe to verified engines, in a folder."""

    model: Model
    runner: str
    references: list[ReferenceCase]
    artifacts: dict[Target, Artifact]
    engines: dict[Target, Engine]
    verifications: dict[Target, Verification]

    def __init__(
        self,
        recipe: Recipe,
        plans: Mapping[Target, Plan],
        folder: Path,
        stage: Stages,
        seed: int,
        data: Source | None,
    ) -> None:
        self._recipe = recipe
        self._plans = plans
        self._targets = list(plans)
        self._folder = folder
        self._stage = stage
        self._seed = seed
        self._data = data

    def walk(self) -> None:
        """Captures by one strategy after the other until the engines agree with the original."""
        failures: dict[str, ModelportError] = {}
        attempts = captures(self._recipe, common_target(self._targets))
        while (captured := self._next(attempts)) is not None:
            self.model, self.runner = captured.model, captured.original.runner
            try:
                self._prove(captured)
            except (BuildError, ExportError, ProofError) as error:
                failures[captured.model.provenance["capture"]["strategy"]] = error
            else:
                return
        raise _first_of(failures)

    def _prove(self, captured: Captured) -> None:
        with self._stage("build operators"):
            self._build_operators()
        with self._stage("check"):
            libraries = [self._folder / name for name in self._libraries]
            _require_valid(self._folder / GRAPH, libraries)
        table = self._calibrate()
        with self._stage("compile"):
            self._compile(table)
        with self._stage("run the original"):
            refused = self._run_original(captured)
        with self._stage("verify"):
            self._verify(captured, refused)

    def _next(self, attempts: Iterator[Captured]) -> Captured | None:
        with self._stage("capture"):
            captured = next(attempts, None)
            if captured is not None:
                (self._folder / GRAPH).parent.mkdir(exist_ok=True)
                captured.model.save(self._folder / GRAPH)
                if any(target.backend == "torch" for target in self._targets):
                    write_program(self._recipe, self._folder / program_of(GRAPH))
        return captured

    def _build_operators(self) -> None:
        takers = [
            target
            for target in self._targets
            if "kernels" in get_backend(target).CAPABILITIES.custom_operators
        ]
        cuda = any(target.device == "cuda" for target in takers)
        operators = self.model.operators()
        if not takers:
            # Where every target gets bodies in place of nodes, there is nothing to build.
            operators -= {(domain, name) for domain, name, _ in self.model.ir.functions}
        self._libraries = collect_libraries(operators, self._folder, cuda=cuda)
        collect_sources(operators, self._folder)

    def _calibrate(self) -> CalibrationTable | None:
        """The ranges of the graph's tensors, where a target needs them and there are data."""
        wanted = any(
            target.precision in EIGHT_BITS and plan.model is None
            for target, plan in self._plans.items()
        )
        if self._data is None or not wanted or is_quantized(self.model):
            return None
        with self._stage("calibrate"):
            libraries = [self._folder / name for name in self._libraries]
            table = calibrate(self.model, self._data, libraries=libraries)
        self.model.provenance["calibration"] = {"method": table.method, "cases": table.cases}
        return table

    def _compile(self, table: CalibrationTable | None) -> None:
        self.artifacts, self.engines = {}, {}
        for target, plan in self._plans.items():
            backend = get_backend(target)
            compiled = compile_model(
                self.model,
                self._folder,
                target,
                self._libraries,
                plan.options,
                plan.rewrites,
                progress=self._stage.progress,
                table=table,
                quantized=plan.model,
            )
            self.model.findings += compiled.findings
            if plan.model is not None:
                self.model.provenance["quantization"] = plan.model.provenance["quantization"]
            if plan.reason:
                self.model.findings.append(Finding("chosen", Severity.NOTE, plan.reason))
            self.artifacts[target] = compiled.artifact
            self.engines[target] = self._open(compiled)
            self.model.provenance.setdefault("versions", {})[target.backend] = backend.version()

    def _open(self, compiled: Compiled) -> Engine:
        """The engine, or, where it cannot run here, ONNX Runtime on the graph it was made from."""
        engine = open_engine(
            self._folder,
            compiled.artifact,
            compiled.target,
            self.model.signature,
            fallback=widen,
        )
        if not engine.substituted:
            return engine
        self.model.findings.append(
            Finding(
                "engine-not-run",
                Severity.WARNING,
                f"the engine for {compiled.target} was built and did not run: {engine.substituted}; "
                "the graph that it was built from is what was compared, on ONNX Runtime",
                fix="`modelport verify` the bundle on a machine that can run it",
            )
        )
        return engine

    def _run_original(self, captured: Captured) -> list[str]:
        """Runs the original on its own cases, on probes, and on drawn cases."""
        original = captured.original
        probed, _ = captured.run_original(self._recipe, self._seed)
        cases = draw_cases(original.signature, original.examples, self._recipe.values, self._seed)
        # Further cases of the recipe's own count: it knows which sizes go together.
        least = max(0, MINIMUM_CASES - len(original.given[1:]))
        drawn, refused = run_reference(original.run, cases, least=least)
        self.references = [*probed, *drawn]
        return refused

    def _verify(self, captured: Captured, refused: Sequence[str]) -> None:
        self.verifications = {}
        for target, engine in self.engines.items():
            tolerance = functools.partial(tolerance_for, precision=target.precision)
            verification = verify_cases(
                self.references, engine.run_shared, tolerance=tolerance, refused=refused
            )
            self.verifications[target] = dataclasses.replace(
                verification, substituted=engine.substituted
            )
        fragile: dict[str, str] = {}
        for verification in self.verifications.values():
            fragile |= captured.fragile(self.references, verification.cases)
        if fragile:
            self.references = [item for item in self.references if item.case.name not in fragile]
            self.verifications = {
                target: verification.without(fragile)
                for target, verification in self.verifications.items()
            }
            if len(self.references) < MINIMUM_CASES:
                by_chance = [item.message for item in captured.original.random_findings()]
                raise ProofError(
                    f"only {len(self.references)} of {len(self.references) + len(fragile)} cases "
                    "prove anything about the model",
                    why="\n    ".join([*by_chance, *fragile.values()][:3]),
                    fix="give five cases at which the model is steady with Recipe(cases=...)",
                )
        cases = [reference.case for reference in self.references]
        self.verifications = {
            target: verification.without(far_cases(cases, target.precision))
            for target, verification in self.verifications.items()
        }
        first = next(iter(self.verifications.values()))
        errors = captured.settle(first.cases)
        for target, verification in self.verifications.items():
            verification.require(f"the engine for {target}", list(map(str, errors)))

    def report(self) -> str:
        """The report, as HTML."""
        example = self.references[0]
        engine = next(iter(self.engines.values()))
        return render_report(
            ReportData(
                model=self.model,
                runner=self.runner,
                verifications=self.verifications,
                example=example,
                engine_outputs=engine.run_shared(example.case.inputs),
            )
        )


def _first_of(failures: Mapping[str, ModelportError]) -> ModelportError:
    """The first strategy's error, which says how the others ended."""
    (_, first), *others = failures.items()
    told = [first.why] if first.why else []
    for strategy, error in others:
        why = error.why.splitlines()[0] if error.why else ""
        told.append(f"captured by {strategy}: {error.what}" + (f" ({why})" if why else ""))
    first.why = "\n    ".join(told) or None
    return first


def _require_valid(path: Path, libraries: Sequence[Path]) -> None:
    result = check(path, libraries=libraries)
    if not result.ok:
        raise ExportError(
            "the captured graph is not a valid ONNX model",
            why="\n    ".join(map(str, result.problems)),
            fix="try another capture strategy or opset",
        )


def _read_recipe(
    source: str | os.PathLike[str] | Recipe, opset: int | None, capture: str | None
) -> Recipe:
    recipe = source if isinstance(source, Recipe) else load_recipe(os.fspath(source))
    return open_program(recipe.with_options(opset=opset, capture=capture))


def _verifications_to_json(verifications: Mapping[Target, Verification]) -> dict[str, Any]:
    return {str(target): item.to_json() for target, item in verifications.items()}
