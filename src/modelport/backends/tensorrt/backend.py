"""TensorRT."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.backends.base import Backend
from modelport.backends.tensorrt import probe as probes
from modelport.backends.tensorrt.build import compile as builds
from modelport.backends.tensorrt.runtime import engine
from modelport.target import Target

if TYPE_CHECKING:
    from modelport.findings import Finding
    from modelport.graph.lint_report import Rule
    from modelport.model import Model


class TensorRtBackend(Backend):
    """TensorRT: an engine for GPUs, built in a process of its own."""

    CAPABILITIES = builds.CAPABILITIES
    engine_suffix = ".engine"
    probe = staticmethod(probes.probe)
    version = staticmethod(probes.version)
    why_not_run = staticmethod(engine.why_not_run)
    compile = staticmethod(builds.compile)
    load = staticmethod(engine.load)
    open_file = staticmethod(engine.open_engine_file)

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
        from modelport.backends.tensorrt.legalize import prepare_for_tensorrt

        return prepare_for_tensorrt(model, target, plugins)

    def plugin_operators(self, options: Mapping[str, Any]) -> set[str]:
        """See `Backend.plugin_operators`: those of the libraries, if plugins are preferred."""
        if not options.get("prefer_plugins"):
            return set()
        from modelport.backends.tensorrt.plugins import PluginLibrary

        libraries = [PluginLibrary(Path(path)) for path in options.get("plugins", ())]
        return {f"{library.domain}::{name}" for library in libraries for name in library.plugins}
