"""The class hierarchy of errors."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelport.findings import Finding


class ModelportError(Exception):
    """Base of every error that modelport raises on purpose.

    An error says what happened, where, why, and what to do about it.

    Attributes:
        exit_code: What the command line exits with: 1 where something was read and judged bad,
            2 for wrong use or unreadable input.
        code: A stable name of the kind of error, for programs; docs/errors.md lists them.
    """

    exit_code = 2
    code = "error"

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        why: str | None = None,
        fix: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.why = why
        self.fix = fix
        super().__init__(what)

    def to_json(self) -> dict[str, Any]:
        """The error as a plain dict: ``code``, ``what``, ``where``, ``why``, ``fix``."""
        return {
            "code": self.code,
            "what": self.what,
            "where": self.where,
            "why": self.why,
            "fix": self.fix,
        }

    def __str__(self) -> str:
        details = (("where", self.where), ("why", self.why), ("fix", self.fix))
        return "\n".join([self.what, *(f"  {label}: {text}" for label, text in details if text)])


class UsageError(ModelportError):
    """Wrong use: an unknown option, a missing file, a source that cannot be read."""

    code = "usage"


class ExportError(ModelportError):
    """The model could not be captured as ONNX, or the capture would not be the same model.

    Attributes:
        findings: What was found out about the capture, errors included.
    """

    code = "export"
    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        why: str | None = None,
        fix: str | None = None,
        findings: Sequence[Finding] = (),
    ) -> None:
        super().__init__(what, where=where, why=why, fix=fix)
        self.findings = list(findings)

    def to_json(self) -> dict[str, Any]:
        """The error as a plain dict, with its ``findings``."""
        return super().to_json() | {"findings": list(map(dataclasses.asdict, self.findings))}


class OperatorError(ModelportError):
    """An operator's declaration, kernel or build is wrong."""

    code = "operator"


class PassError(ModelportError):
    """A rewrite of the graph broke its contract."""

    code = "pass"
    exit_code = 1


class BuildError(ModelportError):
    """A backend refused to build an engine from the graph."""

    code = "build"
    exit_code = 1


class RunError(ModelportError):
    """An engine got inputs that it does not accept, or failed while running."""

    code = "run"


class ProofError(ModelportError):
    """Two computations that must agree do not, or could not be compared."""

    code = "differs"
    exit_code = 1


class BundleError(ModelportError):
    """A bundle is missing, unreadable, altered, or of a newer format."""

    code = "bundle"


def causes(error: BaseException | None, *, contexts: bool = False) -> Iterator[BaseException]:
    """An error, what caused it, what caused that, and so on.

    Args:
        error: The error; of None there are none.
        contexts: Whether an error without a cause was caused by the one in whose handling it
            was raised.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or (error.__context__ if contexts else None)


def first_cause(error: BaseException) -> BaseException:
    """The innermost cause of an error."""
    *_, first = causes(error)
    return first


def first_line(error: BaseException) -> str:
    """The class of an error, and the first line of its text, without pages of advice."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
