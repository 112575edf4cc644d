"""What stands in for an engine that was built here and cannot run here."""

from __future__ import annotations

from pathlib import Path

from modelport.backends.adapters import adapters_in, load_engine
from modelport.backends.interface import Artifact, Engine
from modelport.backends.registry import get_backend
from modelport.signature import Signature
from modelport.target import Target

SUBSTITUTE = Target("onnxruntime")


def open_or_substitute(
    folder: Path, artifact: Artifact, target: Target, signature: Signature
) -> tuple[Engine, str]:
    """Opens an engine, or, where it cannot run here, ONNX Runtime on the graph it was made from.

    Args:
        folder: The folder that the artifact's paths are relative to.
        artifact: What to open.
        target: What it was compiled for.
        signature: What the model takes and gives.

    Returns:
        An engine, and why it is not the artifact's own; empty where it is.
    """
    why_not = get_backend(target).why_not_run(target)
    if not why_not:
        return load_engine(folder, artifact, target, signature), ""
    libraries = {"libraries": artifact.options.get("kernels", [])}
    graph = Artifact(artifact.graph, options={**libraries, **adapters_in(artifact.options)})
    return load_engine(folder, graph, SUBSTITUTE, signature), why_not
