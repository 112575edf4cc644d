"""ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.backends.base import Artifact, Backend, Engine, Probe
from modelport.backends.onnxruntime import probe as probes
from modelport.backends.onnxruntime.compile import CAPABILITIES, compile
from modelport.backends.onnxruntime.engine import load
from modelport.progress import Progress
from modelport.signature import Signature
from modelport.target import Target

if TYPE_CHECKING:
    from modelport.graph.lint_report import Rule


class OnnxRuntimeBackend(Backend):
    """ONNX Runtime: the graph itself is the engine."""

    CAPABILITIES = CAPABILITIES
    fp32_fallback = ("cpu",)

    def probe(self) -> Probe:
        """See `Backend.probe`."""
        return probes.probe()

    def version(self) -> str:
        """See `Backend.version`."""
        return probes.version()

    def compile(
        self,
        folder: Path,
        graph: str,
        target: Target,
        libraries: Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
    ) -> Artifact:
        """See `Backend.compile`."""
        return compile(folder, graph, target, libraries, options, progress)

    def load(
        self, folder: Path, artifact: Artifact, target: Target, signature: Signature | None = None
    ) -> Engine:
        """See `Backend.load`."""
        return load(folder, artifact, target, signature)

    def requirements(self, target: Target) -> tuple[str, ...]:
        """See `Backend.requirements`."""
        return ("onnxruntime-gpu[cuda,cudnn]",) if target.device == "cuda" else ("onnxruntime",)

    def lint_rules(self) -> Sequence[Rule]:
        """See `Backend.lint_rules`."""
        from modelport.backends.onnxruntime.lint import RULES

        return RULES
