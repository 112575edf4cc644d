"""The loader of engines: adapters, and a fallback where an engine does not run here."""

from __future__ import annotations

import dataclasses
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

from modelport.backends.adapters import (
    ADAPTERS_OPTION,
    AdaptedEngine,
    adapters_from_json,
    public_signature,
)
from modelport.backends.base import Artifact, Engine
from modelport.backends.registry import get_backend
from modelport.files.external_data import require_external_data
from modelport.model import Model
from modelport.signature import Signature
from modelport.target import Target

_LOG = logging.getLogger("modelport.backends")

Fallback = Callable[[Model], Model]
"""Rewrites a graph so that the reference runtime has a kernel for every node."""

REFERENCE_RUNTIME = Target("onnxruntime")
"""The runtime whose fp32 result says whether a graph is right, and which replaces an engine."""
REFERENCE_OPTIONS = {"graph_optimization": "none", "spinning": False}
"""Its options there: every node as it is written, and no thread that waits busily."""


def open_engine(
    folder: Path,
    artifact: Artifact,
    target: Target,
    signature: Signature | None = None,
    *,
    fallback: Fallback | None = None,
) -> Engine:
    """Opens an artifact, in the form that the model declares.

    This is the only caller of a backend's ``load``.

    Args:
        folder: The folder that the artifact's paths are relative to, those in its options included.
        artifact: What to open.
        target: What to run on.
        signature: What the model takes and gives; read from the graph by default.
        fallback: Prepares the artifact's graph for the reference runtime, which runs it where
            engines of the target do not run on this machine. Without it, such an engine is an
            error.

    Returns:
        The engine, behind adapters where the artifact has some. Its ``substituted`` says why the
        reference runtime replaces it; it is empty where the engine itself was opened.

    Raises:
        BuildError: The backend cannot open it.
    """
    # Runtimes resolve what is relative in other places than this process does.
    folder = folder.absolute()
    unavailable = "" if fallback is None else get_backend(target).why_not_run(target)
    if fallback is None or not unavailable:
        return _open(folder, artifact, target, signature)
    engine = _open_fallback(folder, artifact, signature, fallback)
    engine.substituted = unavailable
    _LOG.debug("%s: opened on %s instead: %s", target, REFERENCE_RUNTIME, unavailable)
    return engine


def _open(folder: Path, artifact: Artifact, target: Target, signature: Signature | None) -> Engine:
    backend = get_backend(target)
    if artifact.graph and (folder / artifact.graph).is_file():
        require_external_data(folder / artifact.graph)
    adapters = adapters_from_json(artifact.options.get(ADAPTERS_OPTION, ()))
    if not adapters:
        return backend.load(folder, artifact, target, signature)
    options = {name: value for name, value in artifact.options.items() if name != ADAPTERS_OPTION}
    engine = backend.load(folder, dataclasses.replace(artifact, options=options), target)
    return AdaptedEngine(
        engine, adapters, signature or public_signature(engine.signature, adapters)
    )


def _open_fallback(
    folder: Path, artifact: Artifact, signature: Signature | None, fallback: Fallback
) -> Engine:
    """The reference runtime on an artifact's graph; its option ``kernels`` lists libraries."""
    options = {
        "libraries": artifact.options.get("kernels", ()),
        **{name: item for name, item in artifact.options.items() if name == ADAPTERS_OPTION},
    }
    path = folder / artifact.graph
    model = Model.load(path)
    runnable = fallback(model)
    with tempfile.TemporaryDirectory() as name:
        if runnable is not model:
            path = runnable.save(Path(name) / "model.onnx")
        graph = Artifact(
            path.name, options=options, code=lambda _, library: artifact.code(folder, library)
        )
        return _open(path.parent, graph, REFERENCE_RUNTIME, signature)
