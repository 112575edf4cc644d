"""TensorRT."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.backends.base import Artifact, Backend, Engine, Probe
from modelport.backends.tensorrt import probe as probes
from modelport.backends.tensorrt.compile import CAPABILITIES, compile
from modelport.backends.tensorrt.engine import load, why_not_run
from modelport.progress import Progress
from modelport.signature import Signature
from modelport.target import Target

if TYPE_CHECKING:
    from modelport.findings import Finding
    from modelport.graph.lint_report import Rule
    from modelport.model import Model


class TensorRtBackend(Backend):
    """TensorRT: an engine for GPUs, built in a process of its own."""

    CAPABILITIES = CAPABILITIES
    engine_files = True

    def probe(self) -> Probe:
        """See `Backend.probe`."""
        return probes.probe()

    def version(self) -> str:
        """See `Backend.version`."""
        return probes.version()

    def why_not_run(self, target: Target) -> str:
        """See `Backend.why_not_run`."""
        return why_not_run(target)

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
        return ("tensorrt", "cuda-bindings")

    def lint_rules(self) -> Sequence[Rule]:
        """See `Backend.lint_rules`."""
        from modelport.backends.tensorrt.lint import RULES

        return RULES

    def quantization_scheme(self, target: Target) -> str:
        """See `Backend.quantization_scheme`."""
        return "symmetric"

    def legalize(
        self, model: Model, target: Target, plugins: Collection[str] = ()
    ) -> list[Finding]:
        """See `Backend.legalize`."""
        from modelport.passes.tensorrt import prepare_for_tensorrt

        return prepare_for_tensorrt(model, target, plugins)
