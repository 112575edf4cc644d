"""Graphs of a few nodes, written by hand, in ONNX Runtime with libraries of operators."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
import onnx.parser

from modelport import Engine, Target
from modelport.backends import get_backend
from modelport.backends.base import Artifact
from modelport.ops.library_store import library_path


def model_of(graph: str) -> onnx.ModelProto:
    """A model of a graph in ONNX's textual form, which may use the domains of the tests."""
    opsets = '"": 20, "trial": 1, "tinted": 1'
    return onnx.parser.parse_model(f"<ir_version: 9, opset_import: [{opsets}]>\n{graph}")


def open_graph(
    graph: str | onnx.ModelProto, folder: Path, domains: Sequence[str] = ("trial",)
) -> Engine:
    """Opens a graph in ONNX Runtime with the libraries of these domains."""
    onnx.save(model_of(graph) if isinstance(graph, str) else graph, folder / "model.onnx")
    libraries = [str(library_path(domain)) for domain in domains]
    artifact = Artifact("model.onnx", options={"libraries": libraries} if libraries else {})
    target = Target("onnxruntime")
    return get_backend(target).load(folder, artifact, target)
