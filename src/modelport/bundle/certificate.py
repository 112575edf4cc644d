"""Certificates: what was proven about a target of a bundle, read from its manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from modelport.bundle.manifest import Manifest
from modelport.signature import Signature
from modelport.target import Target

_TEXTS = ("NaN", "Infinity", "-Infinity")


@dataclass(frozen=True)
class OutputProof:
    """What was proven about one output.

    Attributes:
        name: The output's name.
        cases: The cases that prove something about it; -1 where it is the same number in all, and
            None in a bundle that was written before they were counted.
        error: Largest root mean square of the error over the scale of the output.
        allowed: The bound on `error`.
        element_error: Largest error of an element, over its own size and that scale.
        element_allowed: The bound on `element_error`.
    """

    name: str
    cases: int | None
    error: float
    allowed: float
    element_error: float
    element_allowed: float

    def __str__(self) -> str:
        if self.cases == -1:
            count = "the same number in all cases: nothing else is proven"
        elif self.cases is None:
            count = "compared"
        else:
            count = f"{self.cases} cases prove something"
        return (
            f"{self.name}: {count}; error {self.error:.1e} of its scale (allowed "
            f"{self.allowed:.1e}), an element {self.element_error:.1e} (allowed "
            f"{self.element_allowed:.1e})"
        )


@dataclass(frozen=True)
class Certificate:
    """What was proven about a target.

    Attributes:
        target: The target.
        ok: Whether every case agreed.
        cases: The number of cases that were compared.
        without_evidence: The number of drawn cases that the reference model refuses, or at which
            it proves nothing.
        sizes: The sizes that were tried, by dimension, in ascending order.
        outputs: What was proven about each output.
        substituted: Why ONNX Runtime ran in the engine's place; empty where the engine ran.
    """

    target: str
    ok: bool
    cases: int
    without_evidence: int
    sizes: Mapping[str, tuple[int, ...]]
    outputs: tuple[OutputProof, ...]
    substituted: str = ""

    def to_json(self) -> dict[str, Any]:
        """The certificate as plain dicts and lists."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Certificate:
        """Reads what `to_json` returned."""
        outputs = tuple(OutputProof(**item) for item in data["outputs"])
        return cls(**{**data, "outputs": outputs})

    def lines(self) -> Iterator[str]:
        """The certificate in words, line by line."""
        verdict = "agreed with the reference" if self.ok else "differed from the original"
        yield f"{self.target}: {verdict} on {self.cases} cases"
        if self.without_evidence:
            yield f"  {self.without_evidence} drawn cases prove nothing and were not counted"
        if self.substituted:
            yield f"  the engine itself has not run: {self.substituted}"
        for name, sizes in self.sizes.items():
            yield f"  {name} tried at {', '.join(map(str, sizes))}"
        for output in self.outputs:
            yield f"  {output}"


def certificates(manifest: Manifest) -> list[Certificate]:
    """Returns the certificate of each target that was compared.

    Args:
        manifest: The bundle's manifest.
    """
    return [
        _certificate(target, manifest.verification[str(target)], manifest.signature)
        for target in manifest.artifacts
        if str(target) in manifest.verification
    ]


def _certificate(target: Target, found: Any, signature: Signature) -> Certificate:
    found = found if isinstance(found, Mapping) else {}
    cases = _mappings(found.get("cases"))
    evidence = found.get("evidence")
    proofs: dict[str, list[Mapping[str, Any]]] = {}
    for case in cases:
        for output in _mappings(case.get("outputs")):
            proofs.setdefault(str(output.get("output")), []).append(output)
    return Certificate(
        target=str(target),
        ok=found.get("ok") is True,
        cases=len(cases),
        without_evidence=len(_list(found.get("refused"))),
        sizes=_sizes(cases, signature),
        outputs=tuple(
            OutputProof(
                name,
                _whole(evidence.get(name)) if isinstance(evidence, Mapping) else None,
                _largest(items, "rms_rel"),
                _largest(items, "rms_rel_allowed"),
                _largest(items, "max_rel"),
                _largest(items, "max_rel_allowed"),
            )
            for name, items in proofs.items()
        ),
        substituted=str(found.get("substituted") or ""),
    )


def _sizes(cases: Sequence[Mapping[str, Any]], signature: Signature) -> dict[str, tuple[int, ...]]:
    """The sizes of each dimension in the cases' inputs."""
    found: dict[str, set[int]] = {}
    for case in cases:
        shapes = case.get("shapes")
        if not isinstance(shapes, Mapping):
            continue
        for spec in signature.inputs:
            for dim, size in zip(spec.shape or (), _list(shapes.get(spec.name)), strict=False):
                if isinstance(dim, str) and isinstance(size, int):
                    found.setdefault(dim, set()).add(size)
    return {name: tuple(sorted(sizes)) for name, sizes in found.items()}


def _list(value: Any) -> list[Any]:
    """A manifest is foreign: what should be a list may be anything."""
    return value if isinstance(value, list) else []


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in _list(value) if isinstance(item, Mapping)]


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _largest(items: Sequence[Mapping[str, Any]], key: str) -> float:
    """The largest number; a manifest has "Infinity" and "NaN" as texts."""
    values = [item.get(key) for item in items]
    numbers = [
        float(value) for value in values if isinstance(value, int | float) or value in _TEXTS
    ]
    return max(numbers, default=0.0)
