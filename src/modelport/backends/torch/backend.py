"""PyTorch, eager or compiled: the reference beside the engines made from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelport.backends.base import Artifact, Backend, Engine, Probe
from modelport.backends.torch import probe as probes
from modelport.backends.torch.compile import CAPABILITIES, compile
from modelport.backends.torch.engine import load
from modelport.progress import Progress
from modelport.signature import Signature
from modelport.target import Target


class TorchBackend(Backend):
    """PyTorch: the exported program is what runs, not the graph."""

    CAPABILITIES = CAPABILITIES
    program_rewrites = False

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
        return ("torch",)

    def tunables(self, target: Target) -> Mapping[str, tuple[Any, ...]]:
        """See `Backend.tunables`; ``freezing`` is an option of ``torch.compile`` alone."""
        choices = dict(super().tunables(target))
        if target.provider is None:
            choices.pop("freezing")
        return choices
