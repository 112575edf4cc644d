"""Engine files: a model built for TensorRT, without a bundle around it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.backends import backend_names, get_backend
from modelport.bundle.checksums import sha256
from modelport.deployment.plan import Plan
from modelport.deployment.workspace import Workspace
from modelport.errors import UsageError
from modelport.findings import Finding
from modelport.graph import reshape_targets, set_dims
from modelport.graph.editing.sizes import ReshapeRule
from modelport.model import Model
from modelport.ops.build.known_code import remember
from modelport.progress import Progress, Stages
from modelport.recipe import Recipe, load_recipe
from modelport.signature import Dim
from modelport.target import Target

if TYPE_CHECKING:
    from modelport.backends.tensorrt.engine_metadata import BuildRecord


@dataclass(frozen=True)
class Compilation:
    """Result of `compile`.

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
    engine alone, and for options that only engines have.

    Args:
        source: A model, a recipe, or what `deploy` takes: ``file.py[:factory]``, a module's
            factory, a ``.onnx`` or a ``.pt2`` file.
        output: The file to write; what is known of it goes to ``OUTPUT.json``.
        target: ``tensorrt`` or ``tensorrt-rtx``, with a precision and compute capabilities.
        shapes: New shapes of inputs: sizes, or names of dimensions that become dynamic.
        reshape: Changes targets of Reshape nodes that have a fixed size; see
            `modelport.graph.reshape_targets`.
        max_batch: The largest size of the inputs' first axis, which must be dynamic.
        progress: Told of every step.
        **options: What `modelport.backends.tensorrt.build.options.BuildOptions` has: ``profiles``,
            ``opt``, ``workspace``, ``strip_weights`` and so on.

    Returns:
        The engine's path, and what is known of it.

    Raises:
        UsageError: The source, the target, a shape or an option is wrong, or the library is not
            installed.
        ExportError: The model cannot be captured.
        BuildError: TensorRT refuses the graph. Nothing is written.
    """
    from modelport.backends.tensorrt.engine_metadata import BuildRecord, record_of

    output, parsed = Path(output), Target.parse(target)
    if not get_backend(parsed).engine_suffix:
        with_files = [name for name in backend_names() if get_backend(name).engine_suffix]
        raise UsageError(
            f"the backend {parsed.backend} has no engine file of its own",
            fix=f"one of {', '.join(with_files)}; or `modelport deploy SOURCE -o NAME.port`",
        )
    if not output.parent.is_dir():
        raise UsageError(f"no such directory: {output.parent}")
    stage = Stages(progress)
    with stage("read the source"):
        model = source if isinstance(source, Model) else _exported(source, parsed)
    # Dimensions are renamed, then those that are left have ranges.
    model = _with_shapes(model, shapes or {})
    if reshape is not None:
        model = reshape_targets(model, reshape)
    if max_batch is not None:
        model = _with_batch(model, max_batch)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as name:
        folder = Path(name)
        # Its operators are plugins or bodies: it needs no libraries of kernels.
        workspace = Workspace.create(folder, model, [parsed], kernels=False)
        with stage("compile"):
            built = workspace.build(Plan(parsed, options), progress=progress)
        files = built.artifact.options
        beside = record_of(output)
        record = BuildRecord.read(folder / files["record"], folder / files["engine"])
        remember([sha256(folder / files["engine"])])
        (folder / files["engine"]).replace(output)
        (folder / files["record"]).replace(beside)
    findings = (*model.findings, *built.findings)
    return Compilation(output, built.model, findings, record, stage.seconds["compile"])


def _exported(source: str | os.PathLike[str] | Recipe, target: Target) -> Model:
    recipe = source if isinstance(source, Recipe) else load_recipe(os.fspath(source))
    # What compiles a graph alone needs no PyTorch.
    from modelport.deployment.exporter import export

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
