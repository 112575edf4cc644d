"""From a graph to an engine: prepared for the backend, converted to the precision, compiled."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.backends import get_backend
from modelport.backends.adapters import adapters_of, shape_values, with_adapters
from modelport.backends.interface import GRAPH, Artifact
from modelport.errors import UsageError
from modelport.findings import Finding
from modelport.graph import reshape_targets, set_dims
from modelport.graph.editing.sizes import ReshapeRule
from modelport.model import Model
from modelport.passes import prepare, rewritten
from modelport.precision import CalibrationTable, convert, form_for, widen
from modelport.progress import Progress, Stages
from modelport.recipe import Recipe, load_recipe
from modelport.signature import Dim
from modelport.target import Target

if TYPE_CHECKING:
    from modelport.backends.tensorrt.record import BuildRecord

ENGINES = ("tensorrt", "tensorrt-rtx")
"""Backends whose engine is a file of its own."""


@dataclass(frozen=True)
class Compilation:
    """What `compile` wrote.

    Attributes:
        path: The engine.
        model: The graph that it was built from.
        findings: What was changed and noticed on the way, that of capturing included.
        record: How it was built, with its layers; it lies beside the engine as ``PATH.json``.
        seconds: How long the build took.
    """

    path: Path
    model: Model
    findings: tuple[Finding, ...]
    record: BuildRecord
    seconds: float


@dataclass(frozen=True)
class Plan:
    """How a model is to be compiled for a target.

    Attributes:
        target: What to compile for.
        options: What the backend is told, by name.
        rewrites: Names of rewrites that the graph gets first; see `modelport.passes.REWRITES`.
        reason: Why this and nothing else, where it was chosen.
        model: A graph in place of the captured one: that which `modelport.quantize` made of it.
    """

    target: Target
    options: Mapping[str, Any] = field(default_factory=dict)
    rewrites: tuple[str, ...] = ()
    reason: str = ""
    model: Model | None = field(default=None, compare=False)

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
        findings: What was changed and noticed on the way.
    """

    target: Target
    model: Model
    artifact: Artifact
    findings: tuple[Finding, ...] = ()


def compile_model(
    model: Model,
    folder: Path,
    target: Target,
    libraries: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    rewrites: Sequence[str] = (),
    progress: Progress | None = None,
    table: CalibrationTable | None = None,
    quantized: Model | None = None,
) -> Compiled:
    """Compiles a model for one target.

    Args:
        model: The graph; it stays as it is.
        folder: Where the model lies as `GRAPH`, and files are written.
        target: What to compile for.
        libraries: Libraries of operators that the graph uses, relative to the folder.
        options: What the backend can be told, by name.
        rewrites: Names of rewrites that the graph gets first; see `modelport.passes.REWRITES`.
        progress: Told of the steps of a long build.
        table: Ranges of the model's tensors, for targets in int8.
        quantized: The model in int8, to be taken in its place.

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
    if target.device not in backend.CAPABILITIES.devices:
        raise UsageError(
            f"the backend {target.backend} does not run on {target.device}",
            fix=f"it runs on: {', '.join(backend.CAPABILITIES.devices)}",
        )
    start = model if quantized is None else quantized
    ready = prepare(rewritten(start, rewrites), target, _plugins(options or {}))
    if precisions[target.precision] == "graph":
        ready = convert(ready, target.precision, table=table, form=form_for(target))
        if (target.backend, target.device) == ("onnxruntime", "cpu"):
            ready = widen(ready)
    given = dict(options or {})
    if backend.CAPABILITIES.dynamic_shapes == "ranges":
        given.setdefault("usual", model.provenance.get("usual_sizes", {}))
        seen = model.provenance.get("seen_values", {})
        given["values"] = {**seen, **given.get("values", {})}
    adapters = adapters_of(ready.ir)
    if adapters:
        given["values"] = shape_values(adapters, given.get("values", {}))
    graph = GRAPH
    if ready is not model:
        graph = f"graphs/{str(target).replace(':', '-')}.onnx"
        ready.save(folder / graph)
    artifact = backend.compile(folder, graph, target, libraries, given, progress)
    noticed = [*ready.findings[len(start.findings) :], *artifact.findings]
    return Compiled(target, ready, with_adapters(artifact, adapters), tuple(noticed))


def _plugins(options: Mapping[str, Any]) -> set[str]:
    """The operators that libraries of plugins have, where plugins are to be preferred."""
    if not options.get("prefer_plugins"):
        return set()
    from modelport.ops.plugins import PluginLibrary

    libraries = [PluginLibrary(Path(path)) for path in options.get("plugins", ())]
    return {f"{library.domain}::{name}" for library in libraries for name in library.plugins}


def compile(
    source: str | os.PathLike[str] | Recipe | Model,
    output: str | os.PathLike[str],
    *,
    target: Target | str,
    shapes: Mapping[str, Sequence[int | str]] | None = None,
    reshape: ReshapeRule | None = None,
    max_batch: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Compilation:
    """Builds an engine file for TensorRT or TensorRT for RTX.

    `deploy` does the same and more: it compares with the original and bundles. This is for an
    engine alone, and for what only an engine can be told.

    Args:
        source: A model, a recipe, or what `deploy` takes: ``file.py[:factory]``, a module's
            factory, a ``.onnx`` or a ``.pt2`` file.
        output: The file to write; what is known of it goes to ``OUTPUT.json``.
        target: ``tensorrt`` or ``tensorrt-rtx``, with a precision and compute capabilities.
        shapes: New shapes of inputs: sizes, or names of dimensions that become dynamic.
        reshape: Changes targets of Reshape nodes that have a size baked in; see
            `modelport.graph.reshape_targets`.
        max_batch: The largest size of the inputs' first axis, which must be dynamic.
        progress: Told of every step.
        **options: What `modelport.backends.tensorrt.options.BuildOptions` has: ``profiles``,
            ``opt``, ``workspace``, ``strip_weights`` and so on.

    Returns:
        The engine's path, and what is known of it.

    Raises:
        UsageError: The source, the target, a shape or an option is wrong, or the library is not
            installed.
        ExportError: The model cannot be captured.
        BuildError: TensorRT refuses the graph. Nothing is written.
    """
    from modelport.backends.tensorrt.record import BuildRecord, record_of

    output, wanted = Path(output), Target.parse(target)
    if wanted.backend not in ENGINES:
        raise UsageError(
            f"the backend {wanted.backend} has no engine file of its own",
            fix=f"one of {', '.join(ENGINES)}; or `modelport deploy`",
        )
    if not output.parent.is_dir():
        raise UsageError(f"no such directory: {output.parent}")
    stage = Stages(progress)
    with stage("read the source"):
        model = source if isinstance(source, Model) else _exported(source, wanted)
    # Dimensions are renamed, then those that are left have ranges.
    model = _with_shapes(model, shapes or {})
    if reshape is not None:
        model = reshape_targets(model, reshape)
    if max_batch is not None:
        model = _with_batch(model, max_batch)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as name:
        folder = Path(name)
        (folder / GRAPH).parent.mkdir()
        model.save(folder / GRAPH)
        with stage("compile"):
            compiled = compile_model(model, folder, wanted, options=options, progress=progress)
        files = compiled.artifact.options
        beside = record_of(output)
        record = BuildRecord.read(folder / files["record"], folder / files["engine"])
        (folder / files["engine"]).replace(output)
        (folder / files["record"]).replace(beside)
    findings = (*model.findings, *compiled.findings)
    return Compilation(output, compiled.model, findings, record, stage.seconds["compile"])


def _exported(source: str | os.PathLike[str] | Recipe, target: Target) -> Model:
    recipe = source if isinstance(source, Recipe) else load_recipe(os.fspath(source))
    # What compiles a graph alone needs no PyTorch.
    from modelport.capture import export

    return export(recipe, target=target)


def _with_shapes(model: Model, shapes: Mapping[str, Sequence[int | str]]) -> Model:
    ranks = {spec.name: spec.shape for spec in model.signature.inputs}
    for name, shape in shapes.items():
        known = ranks.get(name, ())
        if name in ranks and known is not None and len(known) != len(shape):
            raise UsageError(
                f"the input {name!r} cannot become {list(shape)}: it is {list(known)}",
                fix="give as many sizes as it has axes",
            )
    axes = {name: dict(enumerate(shape)) for name, shape in shapes.items()}
    return set_dims(model, axes) if axes else model


def _with_batch(model: Model, most: int) -> Model:
    firsts = {spec.name: (spec.shape or (0,))[0] for spec in model.signature.inputs}
    dynamic = {dim for dim in firsts.values() if isinstance(dim, str)}
    if not dynamic:
        raise UsageError(
            f"the largest batch cannot be {most}: no input has a dynamic first axis",
            why=", ".join(f"{name} begins with {size}" for name, size in firsts.items()),
            fix="make it dynamic: --shape INPUT=batch,... with a name in place of the size",
        )
    copy = model.copy()
    for name in dynamic:
        known = copy.dims.get(name, Dim(name))
        copy.dims = {**copy.dims, name: replace(known, max=most)}
    return copy
