"""Self-test of a bundle: its engines against its own reference cases."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelport.backends import Engine, get_backend, open_engine
from modelport.bundle.environment import differences
from modelport.bundle.reader import Bundle
from modelport.errors import BuildError, UsageError
from modelport.numerics import (
    Bounds,
    ReferenceCase,
    Verification,
    draw_cases,
    far_cases,
    run_reference,
    tolerance_for,
    verify_cases,
)
from modelport.recipe import Recipe, load_recipe
from modelport.target import Target

_RUNS = 50
Bound = float | Mapping[str, float] | None
_SECONDS = 1.0
"""Number of runs, and seconds, after which the measurement of latency stops."""


@dataclass(frozen=True)
class EngineTest:
    """Result of the engine of one target on this machine.

    Attributes:
        target: The target; of a whole pipeline, the one of its stages with the coarsest precision.
        skipped: Why this machine cannot run it; empty where it ran.
        failure: Why it does not open although it should; empty where it did.
        verification: The comparison with the bundle's own reference cases; None where it did not
            run.
        milliseconds: Median and minimum of a run on the first case; None where it did not run.
    """

    target: Target
    skipped: str = ""
    failure: str = ""
    verification: Verification | None = None
    milliseconds: tuple[float, float] | None = None
    stage: str = ""

    @property
    def ok(self) -> bool:
        """True if it ran and agrees, or need not run here."""
        agrees = self.verification is not None and self.verification.ok
        return bool(self.skipped) or (not self.failure and agrees)


@dataclass(frozen=True)
class SelfTest:
    """Result of a bundle on this machine.

    Attributes:
        engines: One result per target.
        differences: Differences between this machine and the one that built the bundle.
    """

    engines: tuple[EngineTest, ...]
    differences: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True if at least one engine ran, and all that ran agree."""
        ran = any(engine.verification is not None for engine in self.engines)
        return ran and all(engine.ok for engine in self.engines)

    def to_json(self) -> dict[str, Any]:
        """The result as plain dicts and lists."""
        return {
            "ok": self.ok,
            "differences": list(self.differences),
            "engines": [
                {
                    "target": str(item.target),
                    "stage": item.stage,
                    "ok": item.ok,
                    "skipped": item.skipped,
                    "failure": item.failure,
                    "milliseconds": item.milliseconds
                    and dict(zip(("median", "minimum"), item.milliseconds, strict=True)),
                    "verification": item.verification and item.verification.to_json(),
                }
                for item in self.engines
            ],
        }


def self_test(
    bundle: str | os.PathLike[str],
    *,
    trust: bool = False,
    key: str | os.PathLike[str] | None = None,
) -> SelfTest:
    """Runs every engine of a bundle that this machine can run, on the bundle's reference cases.

    It needs neither PyTorch nor anything else but the backends.

    Args:
        bundle: The bundle.
        trust: As for `load`.
        key: As for `load`.

    Returns:
        How each engine did, how fast it is, and what is other here than where it was built.

    Raises:
        UsageError: The bundle cannot be read.
        BundleError: The bundle is altered, or an engine that could run has code that is not known
            here, or none for this platform.
    """
    with Bundle.open(bundle, trust=trust, key=key) as opened:
        return SelfTest(
            tuple(_tests(opened)),
            tuple(differences(opened.manifest.machine, opened.manifest.versions)),
        )


def _tests(opened: Bundle) -> Iterator[EngineTest]:
    """One test per target; of a pipeline those of its stages, and of the joined model."""
    for stage, own in opened.stages.items():
        for test in _tests(own):
            name = ".".join(filter(None, (stage, test.stage)))
            yield dataclasses.replace(test, stage=name)
    if not opened.manifest.stages:
        references = kept_references(opened)
        for target in opened.manifest.artifacts:
            yield _test(opened, target, references)
    elif opened.manifest.cases:
        yield _test_whole(opened)


def _test_whole(opened: Bundle) -> EngineTest:
    targets = [model.choose(None) for model in opened.models]
    coarsest = _coarsest(targets)
    reasons = (f"{target}: {why_not}" for target in targets if (why_not := _why_not(target)))
    if why_not := next(reasons, ""):
        return EngineTest(coarsest, skipped=why_not)
    return _run_here(opened, None, coarsest, opened.reference_cases())


def _coarsest(targets: Sequence[Target]) -> Target:
    """The target with the widest tolerance: later stages cannot make its outputs more exact."""
    return max(targets, key=lambda target: tolerance_for("float32", target.precision).overall)


def _test(bundle: Bundle, target: Target, references: Sequence[ReferenceCase]) -> EngineTest:
    why_not = _why_not(target)
    if why_not:
        return EngineTest(target, skipped=why_not)
    return _run_here(bundle, target, target, references)


def _run_here(
    bundle: Bundle, requested: Target | None, target: Target, references: Sequence[ReferenceCase]
) -> EngineTest:
    try:
        engine = bundle.load(requested)
    except UsageError as error:
        return EngineTest(target, skipped=_one_line(error))
    except BuildError as error:
        return EngineTest(target, failure=_one_line(error))
    verification = verify_engine(
        engine, target, references, bounds=Bounds(**bundle.manifest.bounds)
    )
    timed = _time(engine, references[0]) if verification.ok else None
    return EngineTest(target, verification=verification, milliseconds=timed)


def _why_not(target: Target) -> str:
    """The reason why this machine runs nothing of a target; empty if it can."""
    try:
        backend = get_backend(target)
    except UsageError as error:
        return _one_line(error)
    probe = backend.probe()
    if not probe.works:
        return f"{probe.name}: {probe.detail or 'it is not installed'}; {probe.remedy}"
    return backend.why_not_run(target)


def _time(engine: Engine, reference: ReferenceCase) -> tuple[float, float]:
    """Median and minimum of a run, in milliseconds."""
    engine.run_shared(reference.case.inputs)
    end = time.perf_counter() + _SECONDS
    taken: list[float] = []
    while len(taken) < 3 or (len(taken) < _RUNS and time.perf_counter() < end):
        begin = time.perf_counter()
        engine.run_shared(reference.case.inputs)
        taken.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(taken), min(taken)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def verify(
    bundle: str | os.PathLike[str],
    against: str | Recipe | None = None,
    seed: int = 1,
    *,
    trust: bool = False,
    rtol: float | Mapping[str, float] | None = None,
    atol: float | Mapping[str, float] | None = None,
) -> dict[Target, Verification]:
    """Runs every engine of a bundle again and compares.

    Args:
        bundle: The bundle.
        against: The source or recipe of the original model (needs PyTorch), run on fresh cases;
            by default the reference cases that the bundle carries.
        seed: Seed of the fresh cases; another one than deploying uses.
        trust: As for `load`.
        rtol: Bound on an output's error relative to its scale, in place of the bundle's; one number
            for all float outputs, or by output name.
        atol: Error that is allowed besides, in place of the bundle's.

    Returns:
        The comparison, by target. Where an engine cannot run on this machine, it is that of its
        graph on ONNX Runtime, and says so. Of a pipeline, the stages' engines for a target are
        compared on the cases of each stage.

    Raises:
        UsageError: The bundle or the source cannot be read.
        BundleError: The bundle is altered, or has code that is not known here.
    """
    with Bundle.open(bundle, trust=trust) as opened:
        if against is None:
            return _verify_kept(opened, rtol, atol)
        if opened.stages:
            raise UsageError(
                f"{bundle} is a pipeline of several models, which {against} is not",
                fix="verify the bundle of each stage against its own original",
            )
        bounds = _replaced(Bounds(**opened.manifest.bounds), rtol, atol)
        return _verify_model(opened, *_fresh_references(opened, against, seed), bounds)


def _verify_kept(opened: Bundle, rtol: Bound, atol: Bound) -> dict[Target, Verification]:
    if not opened.stages:
        bounds = _replaced(Bounds(**opened.manifest.bounds), rtol, atol)
        return _verify_model(opened, kept_references(opened), (), bounds)
    return _merge({name: _verify_kept(own, rtol, atol) for name, own in opened.stages.items()})


def _replaced(bounds: Bounds, rtol: Bound, atol: Bound) -> Bounds:
    return Bounds(bounds.rtol if rtol is None else rtol, bounds.atol if atol is None else atol)


def _merge(stages: Mapping[str, Mapping[Target, Verification]]) -> dict[Target, Verification]:
    """The stages' comparisons as one per target; the names of cases include the stage."""
    merged: dict[Target, Verification] = {}
    for stage, results in stages.items():
        for target, result in results.items():
            before = merged.get(target, Verification(()))
            cases = (
                dataclasses.replace(case, case=f"{stage}: {case.case}") for case in result.cases
            )
            merged[target] = Verification(
                (*before.cases, *cases),
                (*before.refused, *(f"{stage}: {why}" for why in result.refused)),
                before.substituted or result.substituted,
            )
    return merged


def _verify_model(
    opened: Bundle, references: Sequence[ReferenceCase], refused: Sequence[str], bounds: Bounds
) -> dict[Target, Verification]:
    results = {}
    for target in opened.manifest.artifacts:
        why_not = get_backend(target).why_not_run(target)
        engine = _fallback(opened, target) if why_not else opened.load(target)
        results[target] = verify_engine(engine, target, references, refused, bounds)
    return results


def _fallback(bundle: Bundle, target: Target) -> Engine:
    # It needs packages that a machine which only runs bundles may lack.
    from modelport.precision import widen

    artifact, signature = bundle.artifact(target), bundle.manifest.signature
    return open_engine(bundle.folder, artifact, target, signature, fallback=widen)


def verify_engine(
    engine: Engine,
    target: Target,
    references: Sequence[ReferenceCase],
    refused: Sequence[str] = (),
    bounds: Bounds | None = None,
) -> Verification:
    """Compares an engine with what was recorded, within the tolerance of its precision."""
    tolerance = functools.partial(tolerance_for, precision=target.precision)
    result = verify_cases(
        references, engine.run_shared, tolerance=tolerance, refused=refused, bounds=bounds
    )
    result = dataclasses.replace(result, substituted=engine.substituted)
    return result.without(far_cases([item.case for item in references], target.precision))


def kept_references(bundle: Bundle) -> list[ReferenceCase]:
    """The bundle's reference cases.

    Raises:
        UsageError: It has none.
    """
    references = bundle.reference_cases()
    if not references:
        raise UsageError(
            f"{bundle.where} has no reference cases: nothing can be compared",
            fix="compare it with PyTorch (modelport verify --against SOURCE), or deploy again",
        )
    return references


def _fresh_references(
    bundle: Bundle, against: str | Recipe, seed: int
) -> tuple[list[ReferenceCase], list[str]]:
    from modelport.capture.programs import open_program
    from modelport.capture.reference_model import open_reference

    recipe = open_program(load_recipe(against) if isinstance(against, str) else against)
    original = open_reference(recipe, bundle.manifest.signature)
    values = {**original.values, **recipe.values}
    cases = draw_cases(original.signature, original.examples, values, seed)
    return run_reference(original.run, itertools.islice(cases, 1000), original.given)
