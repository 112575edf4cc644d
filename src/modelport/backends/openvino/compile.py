"""Compiling for OpenVINO: the graph is what is kept, and loading it is what compiles it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelport.backends.base import Artifact, Capabilities
from modelport.backends.engine_faults import refuse_faults
from modelport.backends.openvino.core import HINTS
from modelport.backends.openvino.engine import DTYPES
from modelport.backends.openvino.lint import FAULTS, TITLE
from modelport.progress import Progress
from modelport.target import Target

CAPABILITIES = Capabilities(
    devices=("cpu",),
    precisions={"fp32": "graph", "fp16": "graph", "bf16": "runtime", "int8": "graph"},
    dtypes=DTYPES,
    dynamic_shapes="any",
    custom_operators=("bodies",),
    threads=True,
    tunable={"hint": HINTS},
)


def compile(
    folder: Path,
    graph: str,
    target: Target,
    libraries: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Artifact:
    """Keeps the graph; see `modelport.backends.Backend.compile`.

    A graph that OpenVINO computes otherwise than ONNX says is refused.

    Libraries of operators are not for OpenVINO: their nodes have become standard operators.
    """
    refuse_faults(TITLE, FAULTS, folder / graph)
    return Artifact(graph, options=dict(options or {}))
