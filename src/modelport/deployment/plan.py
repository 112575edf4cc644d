"""Plans: how a graph is to be built for a target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelport.model import Model
from modelport.target import Target


@dataclass(frozen=True)
class Plan:
    """Plan of a build for a target.

    Attributes:
        target: What to build for.
        options: Options of the backend, by name.
        rewrites: Names of rewrites that the graph gets first; see `modelport.passes.REWRITES`.
        reason: Why this and nothing else, where it was chosen.
        model: A graph in place of the captured one: that which `modelport.quantize` made of it.
        quantization: How it was made, for people; see `modelport.precision.Quantization.choice`.
    """

    target: Target
    options: Mapping[str, Any] = field(default_factory=dict)
    rewrites: tuple[str, ...] = ()
    reason: str = ""
    model: Model | None = field(default=None, compare=False)
    quantization: Mapping[str, object] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, target: Target | str | Plan) -> Plan:
        """The plan itself, or the plain one for a target."""
        return target if isinstance(target, Plan) else cls(Target.parse(target))

    def __str__(self) -> str:
        options = [f"{name}={value}" for name, value in self.options.items()]
        return " ".join([str(self.target), *options, *self.rewrites])
