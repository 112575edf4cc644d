"""The operator support table: what is known of each of a model's operators."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """What becomes of an operator."""

    MAPPED = "mapped"
    """Both exporter and opset have what it needs."""
    MISSING = "missing"
    """The exporter has no function for it."""
    FAILING = "failing"
    """The exporter's function for it raised on this model."""
    TOO_NEW = "too new"
    """It becomes an ONNX operator that the opset asked for does not have yet."""
    UNKNOWN = "unknown"
    """The model was not exported, and whether torch can write it as others is open."""


@dataclass(frozen=True)
class OnnxCount:
    """An ONNX operator that was written.

    Attributes:
        name: Its name, with its domain unless it is the default one.
        count: How many nodes of it, before any optimization.
        since: The first opset that has it; None for an operator that ONNX does not define.
        version: The version that holds at the table's opset; None where there is none.
    """

    name: str
    count: int
    since: int | None
    version: int | None


@dataclass(frozen=True)
class Lowered:
    """One operator that the exporter sees after decomposition.

    Attributes:
        name: ``aten::_linalg_svd``, with its overload.
        count: How many nodes of it.
        status: What becomes of it.
        since: The opset that the mapping needs; None where there is no mapping.
        place: ``file:line`` of the mapping; empty where there is none.
        onnx: What was written for all its nodes, by name.
        reason: The exporter's reason where it has no mapping, or where that raised.
    """

    name: str
    count: int
    status: Status
    since: int | None
    place: str
    onnx: tuple[OnnxCount, ...]
    reason: str = ""


@dataclass(frozen=True)
class OperatorSupport:
    """One of the model's operators.

    Attributes:
        name: ``aten::linalg_svd``, with its overload.
        count: How many nodes of it, before decomposition.
        signature: The native signature.
        declared: Where PyTorch declares it (``file:line``), from the folder torch is in.
        used: Where the model first uses it (``file:line``); empty where torch did not keep it.
        lowered: What it was decomposed into: often itself alone, and nothing where the exporter
            drops it, as it does assertions.
        advice: What to do where a part of it cannot be exported; empty otherwise.
    """

    name: str
    count: int
    signature: str
    declared: str
    used: str
    lowered: tuple[Lowered, ...]
    advice: tuple[str, ...] = ()

    @property
    def status(self) -> Status:
        """The worst of what became of its parts."""
        parts = {part.status for part in self.lowered}
        order = (Status.MISSING, Status.FAILING, Status.TOO_NEW, Status.UNKNOWN)
        return next((status for status in order if status in parts), Status.MAPPED)


@dataclass(frozen=True)
class SupportTable:
    """A model's operators and what becomes of them.

    Attributes:
        opset: The opset that was asked about.
        rows: The operators, those that cannot be exported first, then by name.
        notes: What the reader must know about how the table came to be.
    """

    opset: int
    rows: tuple[OperatorSupport, ...]
    notes: tuple[str, ...] = ()

    @property
    def unsupported(self) -> tuple[OperatorSupport, ...]:
        """The operators that cannot be exported at this opset, all of them."""
        exported = (Status.MAPPED, Status.UNKNOWN)
        return tuple(row for row in self.rows if row.status not in exported)

    def to_json(self) -> dict[str, Any]:
        """The table as plain dicts and lists."""
        rows = [asdict(row) | {"status": str(row.status)} for row in self.rows]
        return {
            "opset": self.opset,
            "unsupported": [row.name for row in self.unsupported],
            "notes": list(self.notes),
            "operators": rows,
        }
