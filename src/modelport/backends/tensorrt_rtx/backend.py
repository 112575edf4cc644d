"""TensorRT for RTX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelport.backends.base import Probe
from modelport.backends.tensorrt import probe as probes
from modelport.backends.tensorrt.backend import TensorRtBackend
from modelport.backends.tensorrt.compile import RTX_CAPABILITIES
from modelport.target import Target

if TYPE_CHECKING:
    from modelport.graph.lint_report import Rule


class TensorRtRtxBackend(TensorRtBackend):
    """TensorRT for RTX: TensorRT with another library, and without plugins."""

    CAPABILITIES = RTX_CAPABILITIES

    def probe(self) -> Probe:
        """See `Backend.probe`."""
        return probes.probe_rtx()

    def version(self) -> str:
        """See `Backend.version`."""
        return probes.version_rtx()

    def requirements(self, target: Target) -> tuple[str, ...]:
        """See `Backend.requirements`."""
        return ("tensorrt-rtx-cu13", "cuda-bindings")

    def lint_rules(self) -> Sequence[Rule]:
        """See `Backend.lint_rules`."""
        from modelport.backends.tensorrt_rtx.lint import RULES

        return RULES
