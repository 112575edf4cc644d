"""Workspaces: each attempt owns a folder, without files of another attempt."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Self

from modelport.backends import (
    REFERENCE_OPTIONS,
    REFERENCE_RUNTIME,
    Engine,
    get_backend,
    open_engine,
)
from modelport.backends.base import GRAPH, Artifact, program_of
from modelport.deployment.build import Build, build_artifact
from modelport.deployment.plan import Plan
from modelport.facts import CaptureFacts
from modelport.model import Model
from modelport.ops.elf_check import SOURCES
from modelport.ops.library_store import collect_libraries, collect_sources
from modelport.precision import CalibrationTable, widen
from modelport.progress import Progress
from modelport.target import Target

if TYPE_CHECKING:
    from modelport.capture.attempts import CaptureAttempt

FACTS = "facts.json"
"""File with the facts of the capture in a workspace, for other processes."""


@dataclass(frozen=True)
class Workspace:
    """A folder with one model, and all files that are built from it.

    Attributes:
        folder: The folder, as an absolute path.
        model: The model, which lies in the folder as `GRAPH`.
        libraries: Libraries of operators that it uses, relative to the folder.
    """

    folder: Path
    model: Model
    libraries: tuple[str, ...] = ()

    @classmethod
    def create(
        cls,
        folder: Path,
        model: Model,
        targets: Iterable[Target] = (REFERENCE_RUNTIME,),
        *,
        kernels: bool = True,
    ) -> Self:
        """Writes a model, with the libraries that its operators need for some targets.

        Args:
            folder: The folder; made where there is none.
            model: The model.
            targets: What it is to be built for.
            kernels: Whether the libraries are to be there.

        Raises:
            UsageError: The graph cannot be written.
            OperatorError: A library cannot be built.
        """
        folder = folder.absolute()
        (folder / GRAPH).parent.mkdir(parents=True, exist_ok=True)
        model.save(folder / GRAPH)
        if not kernels:
            return cls(folder, model)
        operators, cuda = _needed(model, list(targets))
        return cls(folder, model, tuple(collect_libraries(operators, folder, cuda=cuda)))

    @classmethod
    def reopen(cls, folder: Path) -> Self:
        """The workspace that another process wrote, and described with `describe`."""
        known = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        model = Model.load(folder / GRAPH)
        model.facts = CaptureFacts.from_json(known["facts"])
        return cls(folder.absolute(), model, tuple(known["libraries"]))

    def describe(self) -> None:
        """Writes the facts that another process needs to open the folder."""
        known = {"facts": self.model.facts.to_json(), "libraries": self.libraries}
        (self.folder / FACTS).write_text(json.dumps(known), encoding="utf-8")

    @property
    def graph(self) -> Path:
        """The file of the graph."""
        return self.folder / GRAPH

    @property
    def library_paths(self) -> list[Path]:
        """The files of the libraries."""
        return [self.folder / name for name in self.libraries]

    def build(
        self,
        plan: Plan,
        table: CalibrationTable | None = None,
        progress: Progress | None = None,
    ) -> Build:
        """Builds the model for a target; see `build_artifact`."""
        return build_artifact(
            self.model, self.folder, plan, self.libraries, table=table, progress=progress
        )

    def open(self, build: Build, *, substitute: bool = True) -> Engine:
        """Opens a build of this workspace.

        Args:
            build: What `build` returned.
            substitute: Whether the reference runtime replaces an engine that cannot run here.

        Raises:
            BuildError: The backend cannot open it.
        """
        fallback = widen if substitute else None
        signature = self.model.signature
        return open_engine(self.folder, build.artifact, build.target, signature, fallback=fallback)

    def open_reference(self, *, optimized: bool = False) -> Engine:
        """Opens the graph on the reference runtime, in float32.

        Args:
            optimized: Whether the runtime may fuse nodes, which is faster; else each one runs as
                it is written.
        """
        options = {**REFERENCE_OPTIONS, "libraries": list(self.libraries)}
        if optimized:
            del options["graph_optimization"]
        artifact = Artifact(GRAPH, options=options)
        return open_engine(self.folder, artifact, REFERENCE_RUNTIME, self.model.signature)

    def add_sources(self) -> list[str]:
        """Writes the sources of the libraries here; returns their paths, relative to the folder."""
        domains = {PurePosixPath(name).stem for name in self.libraries}
        collect_sources(
            (item for item in self.model.operators() if item[0] in domains), self.folder
        )
        paths = sorted(path for path in (self.folder / SOURCES).rglob("*") if path.is_file())
        return [path.relative_to(self.folder).as_posix() for path in paths]

    def files(self, artifacts: Sequence[Artifact]) -> list[str]:
        """The files that artifacts and the graph consist of, relative to the folder."""
        graphs = [GRAPH, *(artifact.graph for artifact in artifacts)]
        weights = [f"{graph}.data" for graph in graphs]
        own = [name for artifact in artifacts for name in artifact.files]
        return [
            *dict.fromkeys([*graphs, *own, *self.libraries]),
            *(name for name in dict.fromkeys(weights) if (self.folder / name).is_file()),
        ]

    def copy(self, folder: Path) -> Self:
        """A copy in another folder, where a process may write; the files are hard links."""
        shutil.copytree(self.folder, folder, copy_function=os.link)
        return dataclasses.replace(self, folder=folder.absolute())


def _needed(model: Model, targets: Sequence[Target]) -> tuple[set[tuple[str, str]], bool]:
    """The operators whose kernels some targets run, and whether on CUDA."""
    takers = [
        target
        for target in targets
        if "kernels" in get_backend(target).CAPABILITIES.custom_operators
    ]
    operators = model.operators()
    if not takers:
        # Where every target gets bodies in place of nodes, there is nothing to build.
        operators -= {(domain, name) for domain, name, _ in model.ir.functions}
    return operators, any(target.device == "cuda" for target in takers)


class Workspaces:
    """Makes a folder for each attempt; the end of the context removes all of them.

    Args:
        targets: What the attempts are to be built for.
        beside: The folder in which the folders are made, so that files can be moved from there; a
            temporary folder by default.
    """

    def __init__(
        self, targets: Iterable[Target] = (REFERENCE_RUNTIME,), beside: Path | None = None
    ) -> None:
        self._targets = list(targets)
        self._folder = Path(tempfile.mkdtemp(prefix=".modelport-", dir=beside)).absolute()
        self._numbers = itertools.count()

    def __enter__(self) -> Workspaces:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def new(self, attempt: CaptureAttempt) -> Workspace:
        """The folder of an attempt, with its graph, libraries and program.

        Raises:
            UsageError: The graph cannot be written.
            OperatorError: A library cannot be built.
            ExportError: A target is PyTorch's, and torch cannot capture the model as a program.
        """
        folder = self._folder / f"attempt-{next(self._numbers)}"
        workspace = Workspace.create(folder, attempt.model, self._targets)
        if any(get_backend(target).runs_program for target in self._targets):
            attempt.program.save(folder / program_of(GRAPH))
        return workspace
