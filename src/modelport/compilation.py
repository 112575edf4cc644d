"""From a graph to an engine: prepared for the backend, converted to the precision, compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelport.backends import get_backend
from modelport.backends.interface import Artifact
from modelport.errors import UsageError
from modelport.model import Model
from modelport.passes import prepare, rewritten
from modelport.precision import convert, widen
from modelport.target import Target

GRAPH = "graphs/model.onnx"
"""Where the captured graph lies in a folder; those made from it for a target lie beside it."""


@dataclass(frozen=True)
class Plan:
    """How a model is to be compiled for a target.

    Attributes:
        target: What to compile for.
        options: What the backend is told, by name.
        rewrites: Names of rewrites that the graph gets first; see `modelport.passes.REWRITES`.
        reason: Why this and nothing else, where it was chosen.
    """

    target: Target
    options: Mapping[str, Any] = field(default_factory=dict)
    rewrites: tuple[str, ...] = ()
    reason: str = ""

    @classmethod
    def of(cls, target: Target | str | Plan) -> Plan:
        """The plan itself, or the plain one for a target."""
        return target if isinstance(target, Plan) else cls(Target.parse(target))

    def __str__(self) -> str:
        options = [f"{name}={value}" for name, value in self.options.items()]
        return " ".join([str(self.target), *options, *self.rewrites])


@dataclass(frozen=True)
class Compiled:
    """A graph that a backend compiled.

    Attributes:
        target: What it was compiled for.
        model: The graph as the backend took it.
        artifact: The files.
    """

    target: Target
    model: Model
    artifact: Artifact


def compile_model(
    model: Model,
    folder: Path,
    target: Target,
    libraries: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    rewrites: Sequence[str] = (),
) -> Compiled:
    """Compiles a model for one target.

    Args:
        model: The graph; it stays as it is.
        folder: Where the model lies as `GRAPH`, and files are written.
        target: What to compile for.
        libraries: Libraries of operators that the graph uses, relative to the folder.
        options: What the backend can be told, by name.
        rewrites: Names of rewrites that the graph gets first; see `modelport.passes.REWRITES`.

    Returns:
        The artifact, and the graph that it was made from.

    Raises:
        UsageError: The backend does not offer what the target asks for.
        PassError: A rewrite that the target needs cannot be done.
        BuildError: The backend refuses the graph.
    """
    backend = get_backend(target)
    precisions = backend.CAPABILITIES.precisions
    if target.precision not in precisions:
        raise UsageError(
            f"the backend {target.backend} does not compute in {target.precision}",
            fix=f"its precisions are: {', '.join(precisions)}",
        )
    ready = prepare(rewritten(model, rewrites), target)
    if precisions[target.precision] == "graph":
        ready = convert(ready, target.precision)
        if (target.backend, target.device) == ("onnxruntime", "cpu"):
            ready = widen(ready)
    graph = GRAPH
    if ready is not model:
        graph = f"graphs/{str(target).replace(':', '-')}.onnx"
        ready.save(folder / graph)
    return Compiled(target, ready, backend.compile(folder, graph, target, libraries, options))
