"""`bench`: finished models against each other, and against the original."""

from __future__ import annotations

import itertools
import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from modelport.arrays import Arrays
from modelport.bundle import Bundle, load
from modelport.deployment.plan import Plan
from modelport.errors import RunError, UsageError
from modelport.files.arrays import as_declared
from modelport.numerics import draw_cases, read_case, write_case
from modelport.numerics.cases import draw_values, example_sizes
from modelport.precision import form_for
from modelport.progress import Progress, Stages
from modelport.signature import Signature
from modelport.target import Target
from modelport.tuning.bench_result import Bench, Measured
from modelport.tuning.bench_targets import Subject, original_of, subjects_of
from modelport.tuning.interleaved_timing import median_interval, paired_ratios
from modelport.tuning.worker_client import WorkerProcess, why_failed
from modelport.tuning.workspace import TuningWorkspace

ROUNDS = 15
"""Turns of every model by default."""


def measure_plans(
    workspace: TuningWorkspace, plans: Sequence[Plan], *, rounds: int = ROUNDS
) -> list[Measured]:
    """Measures ways to run one model in turn, each in a process of its own.

    Args:
        workspace: The model, and the case to time on.
        plans: The ways; ratios are over the first.
        rounds: Turns of each, after one that does not count.

    Returns:
        One measurement per plan, in order; a plan that fails has one as well.
    """
    subjects = []
    for number, plan in enumerate(plans):
        own = workspace.copy(workspace.folder.with_name(f"measured-{number}"))
        if plan.model is not None:
            plan.model.save(own.quantized(form_for(plan.target)))
        what = {
            "folder": str(own.folder),
            "target": str(plan.target),
            "options": dict(plan.options),
            "rewrites": list(plan.rewrites),
        }
        subjects.append(Subject(str(plan), "compile", what))
    return _measure(subjects, {}, 0, 1, rounds, workspace.inputs)


def bench(
    models: Sequence[str | os.PathLike[str]],
    *,
    against: str | None = None,
    source: str | None = None,
    targets: Sequence[Target | str] = (),
    threads: Sequence[int] = (0,),
    sizes: Mapping[str, Sequence[int]] | None = None,
    at_once: int = 1,
    rounds: int = ROUNDS,
    case: str | os.PathLike[str] | None = None,
    seed: int = 0,
    trust: bool = False,
    key: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Bench:
    """Measures finished models in turn, each in a process of its own.

    Args:
        models: Bundles, each with all its targets (a pipeline of several models with the first of
            each), and ONNX files.
        against: What the ratios are over: a target of PyTorch (``torch`` or ``torch:compile``).
            The program is the first bundle's, or that of `source`. By default the ratios are over
            the first model.
        source: A source of the original model.
        targets: Targets to measure, in place of all of a bundle's, and of ONNX Runtime for an ONNX
            file.
        threads: Numbers of threads to measure with; 0 leaves it to the backend.
        sizes: Sizes of dynamic dimensions to measure at, by the dimension's name; each with each.
        at_once: Calls at a time; the seconds a call are then the inverse of the throughput.
        rounds: Turns of every model, after one that does not count.
        case: An ``.npz`` file with the inputs; by default the example that the first bundle keeps,
            and drawn inputs for an ONNX file.
        seed: Seed of what is drawn.
        trust: As for `modelport.load`.
        key: As for `modelport.load`.
        progress: Told of every setting.

    Returns:
        The measurements; a model that fails is one of them.

    Raises:
        UsageError: A model, target, dimension or number is wrong.
        BundleError: A bundle is altered, not signed by the key, or has code that is not known here.
        ExportError: The source cannot be captured.
    """
    _examine(rounds, at_once, threads)
    stage = Stages(progress)
    with tempfile.TemporaryDirectory(prefix="modelport-") as name:
        folder = Path(name)
        with stage("prepare"):
            rights = {"trust": trust, "key": None if key is None else str(key)}
            subjects = subjects_of(models, [Target.parse(target) for target in targets], rights)
            if against is not None:
                original = original_of(Target.parse(against), source, models[0], folder, rights)
                subjects.insert(0, original)
            signature, examples = _example(Path(models[0]), case, seed)
        rows: list[Measured] = []
        for number, setting in enumerate(_settings(sizes or {}, signature)):
            path = folder / f"inputs-{number}.npz"
            write_case(path, _inputs(signature, examples, setting, seed), {})
            for count in threads:
                with stage(_describe(setting, count)):
                    rows += _measure(subjects, setting, count, at_once, rounds, path)
    return Bench(subjects[0].name, tuple(rows), at_once, stage.seconds)


def _examine(rounds: int, at_once: int, threads: Sequence[int]) -> None:
    if rounds < 1 or at_once < 1:
        raise UsageError(f"{rounds} rounds of {at_once} calls at a time cannot be measured")
    if any(count < 0 for count in threads):
        raise UsageError(f"{min(threads)} threads cannot run", fix="0 leaves it to the backend")


def _describe(setting: Mapping[str, int], threads: int) -> str:
    parts = [f"{name}={size}" for name, size in setting.items()]
    return ", ".join(parts + ([f"{threads} threads"] if threads else [])) or "default options"


def _example(
    model: Path, case: str | os.PathLike[str] | None, seed: int
) -> tuple[Signature, Arrays]:
    """Signature and inputs of the first model."""
    if model.suffix == ".onnx":
        signature, kept = load(model).signature, []
    else:
        with Bundle.open(model) as bundle:
            signature, kept = bundle.manifest.signature, bundle.reference_cases()
    if case is not None:
        inputs = as_declared(read_case(Path(case))[0].inputs, signature.inputs)
        signature.examine(inputs)
        return signature, inputs
    if not kept:
        return signature, next(draw_cases(signature, {}, {}, seed)).inputs
    examples = [item for item in kept if item.case.name == "example"]
    best = examples[0] if examples else max(kept, key=lambda item: item.nbytes)
    return signature, best.case.inputs


def _settings(sizes: Mapping[str, Sequence[int]], signature: Signature) -> list[dict[str, int]]:
    known = {dim for spec in signature.inputs for dim in spec.shape or () if isinstance(dim, str)}
    for name, requested in sizes.items():
        if name not in known:
            raise UsageError(
                f"the model has no dynamic dimension {name!r}",
                fix=f"it has: {', '.join(sorted(known)) or 'none'}",
            )
        dim = signature.dims.get(name)
        outside = [size for size in requested if size < 1 or (dim is not None and size not in dim)]
        if outside:
            raise UsageError(f"{name} = {outside[0]} is outside the range {dim or 'from 1'}")
    return [dict(zip(sizes, chosen, strict=True)) for chosen in itertools.product(*sizes.values())]


def _inputs(
    signature: Signature, examples: Arrays, setting: Mapping[str, int], seed: int
) -> Arrays:
    """The example itself, or values like its own in other sizes."""
    base = example_sizes(signature, examples)
    if all(base[name] == size for name, size in setting.items()):
        return {spec.name: examples[spec.name] for spec in signature.inputs}
    rng = np.random.default_rng(seed)
    return {
        spec.name: draw_values(spec, {**base, **setting}, examples, None, "resampled", rng)
        for spec in signature.inputs
    }


def _measure(
    subjects: Sequence[Subject],
    setting: Mapping[str, int],
    threads: int,
    at_once: int,
    rounds: int,
    case: Path,
) -> list[Measured]:
    rows = [Measured(subject.name, threads, setting) for subject in subjects]
    contestants: list[WorkerProcess] = []
    try:
        for subject, row in zip(subjects, rows, strict=True):
            contestants.append(WorkerProcess(subject.name, at_once=at_once))
            try:
                subject.open(contestants[-1], threads, case)
                row.memory = contestants[-1].memory
            except RunError as error:
                row.failure = why_failed(error)
        for number in range(rounds + 1):
            for worker_process, row in zip(contestants, rows, strict=True):
                if not row.failure:
                    _turn(worker_process, row, counts=number > 0)
    finally:
        for worker_process in contestants:
            worker_process.close()
    first = rows[0]
    for row in rows:
        if not row.failure and not first.failure:
            ratios = paired_ratios(first.rounds, row.rounds)
            row.ratio, row.ratio_interval = statistics.median(ratios), median_interval(ratios)
    return rows


def _turn(worker_process: WorkerProcess, row: Measured, *, counts: bool) -> None:
    try:
        calls = worker_process.turn()
    except RunError as error:
        row.failure = why_failed(error)
        return
    if counts:
        row.rounds.append(statistics.median(calls))
        row.calls += calls
