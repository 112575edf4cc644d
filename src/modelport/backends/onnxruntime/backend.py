"""ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelport.backends.base import Backend
from modelport.backends.onnxruntime import compile as builds
from modelport.backends.onnxruntime import engine
from modelport.backends.onnxruntime import probe as probes
from modelport.backends.onnxruntime.session import NO_KERNEL
from modelport.errors import BuildError
from modelport.target import Target

if TYPE_CHECKING:
    from modelport.graph.lint_report import Rule


class OnnxRuntimeBackend(Backend):
    """ONNX Runtime: the graph itself is the engine."""

    CAPABILITIES = builds.CAPABILITIES
    fp32_fallback = ("cpu",)
    probe = staticmethod(probes.probe)
    version = staticmethod(probes.version)
    compile = staticmethod(builds.compile)
    load = staticmethod(engine.load)

    def requirements(self, target: Target) -> tuple[str, ...]:
        """See `Backend.requirements`."""
        return ("onnxruntime-gpu[cuda,cudnn]",) if target.device == "cuda" else ("onnxruntime",)

    def lacks_kernel(self, error: BuildError) -> bool:
        """See `Backend.lacks_kernel`."""
        return NO_KERNEL in f"{error.what}: {error.why}"

    def lint_rules(self) -> Sequence[Rule]:
        """See `Backend.lint_rules`."""
        from modelport.backends.onnxruntime.lint import RULES

        return RULES
