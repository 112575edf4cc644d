"""Build: legalize a graph for a backend, convert it to a precision, and compile it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelport.backends import get_backend
from modelport.backends.adapters import adapters_of, shape_values, with_adapters
from modelport.backends.base import GRAPH, Artifact
from modelport.deployment.plan import Plan
from modelport.errors import UsageError
from modelport.facts import CaptureFacts
from modelport.findings import Finding
from modelport.model import Model
from modelport.passes import prepare, rewritten
from modelport.precision import CalibrationTable, convert, form_for, widen
from modelport.progress import Progress
from modelport.target import Target

_LOG = logging.getLogger("modelport.deployment")


@dataclass(frozen=True)
class Build:
    """Result of a build for one target.

    Attributes:
        plan: How it was built.
        model: The graph in the form that the backend takes.
        artifact: The files.
        findings: What was changed and noticed on the way.
    """

    plan: Plan
    model: Model
    artifact: Artifact
    findings: tuple[Finding, ...] = ()

    @property
    def target(self) -> Target:
        """The target."""
        return self.plan.target


def build_artifact(
    model: Model,
    folder: Path,
    plan: Plan,
    libraries: Sequence[str] = (),
    *,
    table: CalibrationTable | None = None,
    progress: Progress | None = None,
) -> Build:
    """Builds a model for one target.

    Args:
        model: The graph; it stays as it is.
        folder: Where the model lies as `GRAPH`, and files are written.
        plan: How to build it.
        libraries: Libraries of operators that the graph uses, relative to the folder.
        table: Ranges of the model's tensors, for targets in int8.
        progress: Told of the steps of a long build.

    Returns:
        The artifact, and the graph that it was made from.

    Raises:
        UsageError: The backend does not offer what the target asks for.
        PassError: A rewrite that the target needs cannot be done.
        BuildError: The backend refuses the graph.
    """
    target = plan.target
    backend = get_backend(target)
    _require_offered(target)
    start = plan.model or model
    ready = prepare(rewritten(start, plan.rewrites), target, backend.plugin_operators(plan.options))
    if backend.CAPABILITIES.precisions[target.precision] == "graph":
        ready = convert(ready, target.precision, table=table, form=form_for(target))
        if target.device in backend.fp32_fallback:
            ready = widen(ready)
    options = dict(plan.options)
    if backend.CAPABILITIES.dynamic_shapes == "ranges":
        options = _with_ranges(options, model.facts)
    adapters = adapters_of(ready.ir)
    if adapters:
        options["values"] = shape_values(adapters, options.get("values", {}))
    graph = GRAPH
    if ready is not model:
        graph = f"graphs/{str(target).replace(':', '-')}.onnx"
        ready.save(folder / graph)
    _LOG.debug("plan %s: %s", plan, plan.reason or "the target's default")
    _LOG.debug("%s: compile %s with %d adapters", target, graph, len(adapters))
    artifact = backend.compile(folder, graph, target, libraries, options, progress)
    noticed = [*ready.findings[len(start.findings) :], *artifact.findings]
    return Build(plan, ready, with_adapters(artifact, adapters), tuple(noticed))


def _require_offered(target: Target) -> None:
    capabilities = get_backend(target).CAPABILITIES
    if target.precision not in capabilities.precisions:
        raise UsageError(
            f"the backend {target.backend} does not compute in {target.precision}",
            fix=f"its precisions are: {', '.join(capabilities.precisions)}",
        )
    if target.device not in capabilities.devices:
        raise UsageError(
            f"the backend {target.backend} does not run on {target.device}",
            fix=f"it runs on: {', '.join(capabilities.devices)}",
        )


def _with_ranges(options: Mapping[str, Any], facts: CaptureFacts) -> dict[str, object]:
    """Options, with sizes and values of the model's cases where the user did not set them."""
    values = {**facts.seen_values, **options.get("values", {})}
    return {"usual": dict(facts.usual_sizes), **options, "values": values}
