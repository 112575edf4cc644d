"""Compiling for ONNX Runtime: the graph is the engine; what is proven is that it loads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modelport.backends.interface import Artifact
from modelport.backends.onnxruntime.session import absolute, open_session
from modelport.target import Target


def compile(folder: Path, graph: str, target: Target, libraries: Sequence[str] = ()) -> Artifact:
    """Proves that ONNX Runtime takes the graph; see `modelport.backends.Backend.compile`."""
    options = {"libraries": list(libraries)} if libraries else {}
    open_session(folder / graph, target, absolute(options, folder))
    return Artifact(graph, tuple(libraries), options)
