"""OpenVINO."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from modelport.backends.base import Backend
from modelport.backends.openvino import compile as builds
from modelport.backends.openvino import engine
from modelport.backends.openvino import probe as probes
from modelport.target import Target

if TYPE_CHECKING:
    from modelport.findings import Finding
    from modelport.graph.lint_report import Rule
    from modelport.model import Model


class OpenVinoBackend(Backend):
    """OpenVINO: the graph is kept, and compiled when it is loaded."""

    CAPABILITIES = builds.CAPABILITIES
    probe = staticmethod(probes.probe)
    version = staticmethod(probes.version)
    compile = staticmethod(builds.compile)
    load = staticmethod(engine.load)

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
        from modelport.backends.openvino.legalize import prepare_for_openvino

        return prepare_for_openvino(model)
