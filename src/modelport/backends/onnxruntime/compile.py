"""Compiling for ONNX Runtime: the graph is the engine; what is proven is that it loads."""

from __future__ import annotations

from pathlib import Path

from modelport.backends.interface import Artifact
from modelport.backends.onnxruntime.session import open_session
from modelport.target import Target


def compile(folder: Path, graph: str, target: Target) -> Artifact:
    """Proves that ONNX Runtime takes the graph; see `modelport.backends.Backend.compile`."""
    open_session(folder / graph, target)
    return Artifact(graph)
