"""TensorRT for RTX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelport.backends.tensorrt import probe as probes
from modelport.backends.tensorrt.backend import TensorRtBackend
from modelport.backends.tensorrt.build import compile as builds
from modelport.target import Target

if TYPE_CHECKING:
    from modelport.graph.lint_report import Rule


class TensorRtRtxBackend(TensorRtBackend):
    """TensorRT for RTX: TensorRT with another library, and without plugins."""

    CAPABILITIES = builds.RTX_CAPABILITIES
    probe = staticmethod(probes.probe_rtx)
    version = staticmethod(probes.version_rtx)

    def requirements(self, target: Target) -> tuple[str, ...]:
        """See `Backend.requirements`."""
        return ("tensorrt-rtx-cu13", "cuda-bindings")

    def lint_rules(self) -> Sequence[Rule]:
        """See `Backend.lint_rules`."""
        from modelport.backends.tensorrt_rtx.lint import RULES

        return RULES
