"""PyTorch, eager or compiled: the reference beside the engines made from it."""

from __future__ import annotations

from collections.abc import Mapping

from modelport.backends.base import Backend
from modelport.backends.torch import compile as builds
from modelport.backends.torch import engine
from modelport.backends.torch import probe as probes
from modelport.target import Target


class TorchBackend(Backend):
    """PyTorch: it runs the exported program, not the graph."""

    CAPABILITIES = builds.CAPABILITIES
    runs_program = True
    probe = staticmethod(probes.probe)
    version = staticmethod(probes.version)
    compile = staticmethod(builds.compile)
    load = staticmethod(engine.load)

    def requirements(self, target: Target) -> tuple[str, ...]:
        """See `Backend.requirements`."""
        return ("torch",)

    def tunables(self, target: Target) -> Mapping[str, tuple[object, ...]]:
        """See `Backend.tunables`; ``freezing`` is an option of ``torch.compile`` alone."""
        choices = dict(super().tunables(target))
        if target.provider is None:
            choices.pop("freezing")
        return choices
