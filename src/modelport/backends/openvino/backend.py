"""OpenVINO."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.backends.base import Artifact, Backend, Engine, Probe
from modelport.backends.openvino import probe as probes
from modelport.backends.openvino.compile import CAPABILITIES, compile
from modelport.backends.openvino.engine import load
from modelport.progress import Progress
from modelport.signature import Signature
from modelport.target import Target

if TYPE_CHECKING:
    from modelport.findings import Finding
    from modelport.graph.lint_report import Rule
    from modelport.model import Model


class OpenVinoBackend(Backend):
    """OpenVINO: the graph is kept, and compiled when it is loaded."""

    CAPABILITIES = CAPABILITIES

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
        return ("openvino",)

    def lint_rules(self) -> Sequence[Rule]:
        """See `Backend.lint_rules`."""
        from modelport.backends.openvino.lint import RULES

        return RULES

    def quantization_scheme(self, target: Target) -> str:
        """See `Backend.quantization_scheme`.

        OpenVINO 2026.4 accepts ``unsigned`` too, but then computes products of two activations
        with another result than the standard's.
        """
        return "mixed"

    def legalize(
        self, model: Model, target: Target, plugins: Collection[str] = ()
    ) -> list[Finding]:
        """See `Backend.legalize`."""
        from modelport.passes.openvino import prepare_for_openvino

        return prepare_for_openvino(model, target)
