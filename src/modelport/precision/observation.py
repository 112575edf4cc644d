"""Observation of a model's inner tensors in runs, with bounded memory."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelport.arrays import Array
from modelport.backends import REFERENCE_RUNTIME
from modelport.backends import open_engine as open_artifact
from modelport.backends.base import Artifact, Engine
from modelport.graph import expose
from modelport.model import Model
from modelport.ops import registry
from modelport.ops.library_store import library_path

BUDGET = 64 << 20
"""Bytes of tensors that are observed in one run; more tensors need more runs."""


def libraries_of(model: Model) -> list[Path]:
    """The libraries of a model's declared operators; built if they are missing."""
    found = (registry.find(f"{domain}::{name}") for domain, name in model.operators())
    domains = {item.schema.domain for item in found if item is not None and item.kernels}
    return [library_path(domain) for domain in sorted(domains)]


def open_engine(
    model: Model, folder: Path, libraries: Sequence[Path] = (), **options: Any
) -> Engine:
    """Opens a model in ONNX Runtime on the CPU.

    Args:
        model: The model.
        folder: Where its file may be written.
        libraries: Libraries of operators that it needs.
        options: Those of the backend.
    """
    path = model.save(folder / "model.onnx")
    # Relative to where the caller is, not to the folder of the file.
    absolute = [str(item.absolute()) for item in libraries]
    options = {**options, **({"libraries": absolute} if absolute else {})}
    return open_artifact(folder, Artifact(path.name, (), options), REFERENCE_RUNTIME)


class Observer:
    """A model whose inner tensors can be observed, as a context.

    Args:
        model: The model.
        tensors: Names of tensors that nodes of its main graph compute, or of its inputs.
        libraries: Libraries of operators that it needs.
    """

    def __init__(self, model: Model, tensors: Iterable[str], libraries: Sequence[Path]) -> None:
        inputs = {spec.name for spec in model.signature.inputs}
        names = list(dict.fromkeys(tensors))
        self._given = [name for name in names if name in inputs]
        inner = [name for name in names if name not in inputs]
        self._folder = tempfile.TemporaryDirectory(prefix="modelport-")
        exposed = expose(model, inner) if inner else model
        # Layouts of blocks would be undone for every tensor that is looked at.
        self._engine = open_engine(
            exposed, Path(self._folder.name), libraries, graph_optimization="basic"
        )
        self._groups = [inner[begin : begin + 16] for begin in range(0, len(inner), 16)]
        self._measured = False

    def __enter__(self) -> Observer:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def run(self, inputs: Mapping[str, Array], look: Callable[[str, Array], None]) -> None:
        """Runs one case.

        Args:
            inputs: Arrays by input name.
            look: Given the name and the values of every tensor, which it must not keep.
        """
        sizes: dict[str, int] = {}
        for name in self._given:
            look(name, inputs[name])
        for group in self._groups:
            outputs = self._engine.run(inputs, group)
            sizes.update({name: array.nbytes for name, array in outputs.items()})
            for name in group:
                look(name, outputs.pop(name))
        if not self._measured:
            self._groups, self._measured = _grouped(sizes), True


def _grouped(sizes: Mapping[str, int]) -> list[list[str]]:
    """Groups of tensors up to the budget; a larger tensor is alone."""
    groups: list[list[str]] = []
    used = BUDGET
    for name, size in sizes.items():
        if used + size > BUDGET:
            groups.append([])
            used = 0
        groups[-1].append(name)
        used += size
    return groups
