"""What a rewrite is told, and what is told about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from modelport.capture.rewriters.registry import Kind, Registration
from modelport.findings import Finding, Severity
from modelport.target import Target


@dataclass(frozen=True)
class Context:
    """What a rewrite is told about the export that it takes part in.

    Attributes:
        original: The function that is rewritten, to be called with its own arguments (a method's
            ``self`` or ``cls`` included). For a module replacement, the module.
        keep: The same as `original`, for a call that the rewrite leaves as it is: the call is not
            counted, so that a report shows rewrites that changed something.
        target: Where the model is to run, or None where the graph is for any backend.
        opset: Opset of the default domain.
        capture: ``dynamo``, ``trace`` or ``script``.
        name: The dotted path of what is rewritten.
    """

    original: Callable[..., Any]
    keep: Callable[..., Any]
    target: Target | None
    opset: int
    capture: str
    name: str


@dataclass
class Applied:
    """One rewrite in one scope.

    Attributes:
        registration: The rewrite.
        calls: How often it was called so far, calls that it left as they are (``ctx.keep``) not
            counted; for a module replacement, how often its modules were run. A strict export
            runs everything twice.
        places: The other places where it was put: aliases of a function, as ``module.name``;
            for a module replacement, the replaced modules' names (empty for the root).
        note: Why it has no effect, or what it changes besides; empty where there is nothing.
    """

    registration: Registration
    calls: int = 0
    places: list[str] = field(default_factory=list)
    note: str = ""

    @property
    def name(self) -> str:
        """The dotted path of what is rewritten."""
        return self.registration.name

    @property
    def kind(self) -> Kind:
        """``function`` or ``module``."""
        return self.registration.kind

    @property
    def shipped(self) -> bool:
        """Whether the rewrite comes with modelport."""
        return self.registration.shipped

    def to_json(self) -> dict[str, Any]:
        """The record as plain values, for a report."""
        return {
            "name": self.name,
            "kind": self.kind,
            "conditions": str(self.registration.conditions),
            "where": self.registration.where,
            "shipped": self.shipped,
            "calls": self.calls,
            "places": list(self.places),
            "note": self.note,
        }

    def __str__(self) -> str:
        called = f"called {self.calls} times" if self.calls != 1 else "called once"
        note = f"; {self.note}" if self.note else ""
        return f"{self.registration}: {called}{note}"


class Active(Sequence[Applied]):
    """The rewrites of one scope, in the order of their application.

    Attributes:
        model: The model to export: the one given, or its replacement where the root itself was
            replaced.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self._records: list[Applied] = []

    def add(self, record: Applied) -> Applied:
        """Appends a record."""
        self._records.append(record)
        return record

    @property
    def called(self) -> tuple[Applied, ...]:
        """The rewrites that took part."""
        return tuple(record for record in self._records if record.calls)

    @property
    def unused(self) -> tuple[Applied, ...]:
        """The user's own rewrites that were selected and never called: look at each of them.

        Those that come with modelport are for operators that few models have; they are left out.
        """
        return tuple(record for record in self._records if not record.calls and not record.shipped)

    def findings(self) -> list[Finding]:
        """A warning for each of the user's rewrites that took no part, and for each note."""
        found = [
            Finding(
                "rewrite-unused",
                Severity.WARNING,
                f"the rewrite of {record.name} was selected and had no effect"
                + (f": {record.note}" if record.note else ""),
                record.registration.where,
                "check the path: it must be the name that the model uses",
            )
            for record in self.unused
        ]
        return found + [
            Finding("rewrite-note", Severity.WARNING, record.note, record.registration.where)
            for record in self.called
            if record.note
        ]

    @overload
    def __getitem__(self, index: int) -> Applied: ...
    @overload
    def __getitem__(self, index: slice) -> list[Applied]: ...
    def __getitem__(self, index: int | slice) -> Applied | list[Applied]:
        """The record at a place."""
        return self._records[index]

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Applied]:
        return iter(self._records)

    def __str__(self) -> str:
        return "\n".join(map(str, self._records)) or "no rewrites"
