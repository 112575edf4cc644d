"""Subjects of a benchmark, and how a worker process opens each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelport.backends import REFERENCE_RUNTIME, get_backend
from modelport.backends.base import GRAPH, program_of
from modelport.bundle import Bundle
from modelport.errors import UsageError
from modelport.recipe import load_recipe
from modelport.target import Target
from modelport.tuning.worker_client import WorkerProcess
from modelport.tuning.workspace import TuningWorkspace


@dataclass(frozen=True)
class Subject:
    """A subject of a benchmark, and how its worker process opens it.

    Attributes:
        name: What it is.
        do: What its process is asked for; see `modelport.tuning.worker.Worker`.
        what: What it is asked with.
    """

    name: str
    do: str
    what: Mapping[str, Any]

    def open(self, worker_process: WorkerProcess, threads: int, case: Path) -> None:
        """Opens it in a worker process.

        Args:
            worker_process: The process.
            threads: Threads that it is to take; 0 leaves it to the backend.
            case: The inputs to run it on.

        Raises:
            RunError: It cannot be opened or run.
        """
        options = {**self.what["options"], **({"threads": threads} if threads else {})}
        worker_process.open(self.do, **{**self.what, "options": options, "case": str(case)})


def subjects_of(
    models: Sequence[str | os.PathLike[str]],
    targets: Sequence[Target],
    rights: Mapping[str, Any],
) -> list[Subject]:
    """Subjects of bundles and ONNX files: one for each target to measure.

    Args:
        models: Bundles and ONNX files.
        targets: Targets to measure, in place of all that a bundle has.
        rights: ``trust`` and ``key``, as for `modelport.load`.

    Raises:
        UsageError: There is no model, or none for the targets.
    """
    if not models:
        raise UsageError("there is nothing to measure", fix="give bundles or ONNX files")
    found = []
    for model in map(Path, models):
        own: Sequence[Target | None] = targets or [REFERENCE_RUNTIME]
        if model.suffix != ".onnx":
            with Bundle.open(model) as bundle:
                if not bundle.manifest.stages:
                    own = [
                        item for item in bundle.manifest.artifacts if item in targets or not targets
                    ]
                elif not targets:
                    own = [None]
        elif not model.is_file():
            raise UsageError(f"no such file: {model}")
        if not own:
            raise UsageError(
                f"{model} has no engine for {', '.join(map(str, targets))}",
                fix="`modelport bundle add BUNDLE --target TARGET` makes one",
            )
        for target in own:
            name = f"{model.name} {target}" if target else model.name
            found.append(_loaded(name, model, target, rights))
    return found


def _loaded(
    name: str, model: str | os.PathLike[str], target: Target | None, rights: Mapping[str, Any]
) -> Subject:
    what = {"path": str(model), "target": target and str(target), "options": {}, **rights}
    return Subject(name, "load", what)


def original_of(
    target: Target,
    source: str | None,
    model: str | os.PathLike[str],
    folder: Path,
    rights: Mapping[str, Any],
) -> Subject:
    """The original, in PyTorch.

    Args:
        target: One of PyTorch's.
        source: Where the original is; by default in the bundle.
        model: The bundle.
        folder: Where a program is written that is made of the source.
        rights: As for `subjects_of`.

    Raises:
        UsageError: The target is another backend's, or there is no program.
        ExportError: The source cannot be captured.
    """
    if not get_backend(target).runs_program:
        raise UsageError(f"{target} is not PyTorch", fix="measure against torch or torch:compile")
    if source is None:
        with Bundle.open(model) as bundle:
            if target in bundle.manifest.artifacts:
                return _loaded(str(target), model, target, rights)
        raise UsageError(
            f"{model} holds no PyTorch program for {target}",
            fix=f"name the PyTorch model with source, or deploy with the target {target}, too",
        )
    from modelport.capture.attempts import capture_attempts
    from modelport.capture.programs import open_program

    attempt = next(capture_attempts(open_program(load_recipe(source))))
    TuningWorkspace.create(folder, attempt.model, [target]).describe()
    attempt.program.save(folder / program_of(GRAPH))
    what = {"folder": str(folder), "target": str(target), "options": {}, "rewrites": []}
    return Subject(f"{target} of {attempt.recipe.title}", "compile", what)
