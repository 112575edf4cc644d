"""Compiling for ONNX Runtime: the graph is the engine, and loading it is what compiles it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelport.backends.base import Artifact, Capabilities
from modelport.backends.engine_faults import refuse_faults
from modelport.backends.onnxruntime.lint import FAULTS, TITLE
from modelport.backends.onnxruntime.providers import profile_options
from modelport.findings import Finding
from modelport.model import Model
from modelport.progress import Progress
from modelport.target import ON_GPUS, Target

CAPABILITIES = Capabilities(
    devices=("cpu", "cuda"),
    precisions={"fp32": "graph", "fp16": "graph", "bf16": "graph", "int8": "graph"},
    dtypes=(
        *("float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64"),
        *("uint8", "uint16", "uint32", "uint64", "bool", "str"),
    ),
    dynamic_shapes="any",
    custom_operators=("kernels", "bodies"),
    threads=True,
    tunable={"graph_optimization": ("all", "extended", "basic"), "spinning": (True, False)},
)


def compile(
    folder: Path,
    graph: str,
    target: Target,
    libraries: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Artifact:
    """Collects what a session is opened with; see `modelport.backends.Backend.compile`.

    A graph that ONNX Runtime computes otherwise than ONNX says is refused.
    """
    options = {**(options or {}), **({"libraries": list(libraries)} if libraries else {})}
    findings: list[Finding] = []
    refuse_faults(TITLE, FAULTS, folder / graph)
    if target.provider in ON_GPUS:
        given, findings = profile_options(target, Model.load(folder / graph).signature)
        options["provider_options"] = given | options.get("provider_options", {})
    return Artifact(graph, tuple(libraries), options, tuple(findings))
