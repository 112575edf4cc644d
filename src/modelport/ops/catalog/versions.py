"""A version of an ONNX operator: its inputs, outputs and attributes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from modelport.ops.catalog.kernels import Kernel


@dataclass(frozen=True)
class Parameter:
    """An input or output of one version.

    Attributes:
        name: The formal name.
        constraint: The type parameter that it shares with others, e.g. ``T1``, or its one type.
        types: ONNX names of the types it may have, e.g. ``tensor(float)``, sorted.
        optional: Whether a node may leave it out.
        variadic: Whether it stands for any number of values.
    """

    name: str
    constraint: str
    types: tuple[str, ...]
    optional: bool = False
    variadic: bool = False

    def __str__(self) -> str:
        mark = "?" if self.optional else "..." if self.variadic else ""
        return f"{self.name}{mark}: {short_types(self.types)}"


@dataclass(frozen=True)
class Attribute:
    """An attribute of one version.

    Attributes:
        name: Its name.
        kind: ``INT``, ``FLOATS``, ``STRING``, ``GRAPH``, ...
        required: Whether a node must have it.
        default: Its default, or None.
        text: What the ONNX specification says about it.
    """

    name: str
    kind: str
    required: bool
    default: Any = None
    text: str = field(default="", repr=False)

    def __str__(self) -> str:
        if self.required:
            return f"{self.name}: {self.kind}, required"
        return f"{self.name}: {self.kind}" + (
            "" if self.default is None else f" = {self.default!r}"
        )


@dataclass(frozen=True)
class OperatorVersion:
    """One version of an ONNX operator.

    Attributes:
        since: The opset of the operator's domain from which it holds.
        until: The last opset that it holds in; None for the newest version.
        deprecated: Whether it is deprecated from this version on.
        inputs: The inputs, in order.
        outputs: The outputs, in order.
        attributes: The attributes, sorted by name.
        changes: What changed against the version before; empty for the first.
        function_body: Whether ONNX defines it by other operators, so that a runtime without a
            kernel can still run it.
        text: What the ONNX specification says about it.
        kernels: ONNX Runtime's CPU kernels that serve this version; None where that is not known.
    """

    since: int
    until: int | None
    deprecated: bool
    inputs: tuple[Parameter, ...]
    outputs: tuple[Parameter, ...]
    attributes: tuple[Attribute, ...]
    changes: tuple[str, ...]
    function_body: bool
    text: str = field(repr=False)
    kernels: tuple[Kernel, ...] | None = None


def short_types(types: tuple[str, ...], limit: int = 6) -> str:
    """Types in few words: ``float, int8``; ``16 types`` where there are many."""
    if not types:
        return "any"
    if len(types) > limit:
        return f"{len(types)} types"
    return ", ".join(short_type(name) for name in types)


def short_type(name: str) -> str:
    """``float`` for ``tensor(float)``; other types stay as they are."""
    return name[len("tensor(") : -1] if name.startswith("tensor(") else name
