"""Facts of a capture that later steps decide by, typed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Values = Sequence[Sequence[Any]]


@dataclass(frozen=True)
class CaptureFacts:
    """Facts of a capture.

    A model's provenance is written from them, and is never read back.

    Attributes:
        source: Name of the model, or its file.
        strategy: ``dynamo``, ``trace`` or ``script``; ``none`` for an ONNX file.
        reason: Why this strategy.
        opset: Opset of the default domain; 0 where nothing was captured.
        rewrites: The rewrites that took part, as plain dicts.
        usual_sizes: The most frequent size of each dynamic dimension in the recipe's cases.
        seen_values: The least, the example's and the largest values of inputs that may say how
            large an output is, by input.
        versions: Versions of what captured, by name.
    """

    source: str = ""
    strategy: str = "none"
    reason: str = ""
    opset: int = 0
    rewrites: Sequence[Mapping[str, Any]] = ()
    usual_sizes: Mapping[str, int] = field(default_factory=dict)
    seen_values: Mapping[str, Values] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The facts as plain dicts and lists."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CaptureFacts:
        """Facts from what `to_json` wrote."""
        return cls(**data)

    def to_provenance(self) -> dict[str, Any]:
        """The facts in the form of a manifest's ``provenance``."""
        if not self.opset:
            return {"source": self.source}
        captured = self.strategy != "none"
        return {
            "source": self.source,
            "capture": {"strategy": self.strategy, "reason": self.reason},
            "opset": self.opset,
            "versions": dict(self.versions),
            **({"rewrites": list(self.rewrites)} if captured else {}),
            **({"usual_sizes": dict(self.usual_sizes)} if captured else {}),
            **({"seen_values": dict(self.seen_values)} if captured else {}),
        }
