"""When a rewrite applies, and which of two rewrites is the more specific one."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement

from modelport.errors import UsageError
from modelport.target import Target

CAPTURES = ("dynamo", "trace", "script")
_NO_LIMIT = 1 << 30


@dataclass(frozen=True)
class Situation:
    """What one export is for.

    Attributes:
        target: Where the model is to run, or None where the graph is for any backend.
        opset: Opset of the default domain.
        capture: ``dynamo``, ``trace`` or ``script``.
    """

    target: Target | None
    opset: int
    capture: str


@dataclass(frozen=True)
class Conditions:
    """What must hold for a rewrite to apply; an empty condition always holds.

    Attributes:
        target: Targets as ``BACKEND[:TOKEN]...``, any of which will do. A token that is not
            written does not matter.
        opset: First and last opset.
        library: Requirements such as ``torch>=2.10,<3``, all of which must hold.
        capture: Ways of capture, any of which will do.
    """

    target: tuple[str, ...] = ()
    opset: tuple[int, int] = (0, _NO_LIMIT)
    library: tuple[str, ...] = ()
    capture: tuple[str, ...] = ()

    @classmethod
    def parse(
        cls,
        target: str | Target | Iterable[str | Target] | None = None,
        opset: int | tuple[int, int] | range | None = None,
        library: str | Iterable[str] | None = None,
        capture: str | Iterable[str] | None = None,
    ) -> Conditions:
        """Reads conditions as a user writes them.

        Args:
            target: A target or several, or None for every one.
            opset: The first opset, or ``(first, last)``, or a range, or None for every one.
            library: A requirement or several, in the syntax of pip.
            capture: ``dynamo``, ``trace``, ``script`` or several, or None for every one.

        Raises:
            UsageError: One of them cannot be read.
        """
        targets = _several(target)
        for text in targets:
            Target.parse(text)
        captures = tuple(str(name) for name in _several(capture))
        for name in captures:
            if name not in CAPTURES:
                raise UsageError(
                    f"unknown capture {name!r} in a rewrite's conditions",
                    fix=f"one of {', '.join(CAPTURES)}",
                )
        return cls(
            target=tuple(str(text) for text in targets),
            opset=_opset_range(opset),
            library=tuple(_requirement(str(text)) for text in _several(library)),
            capture=captures,
        )

    def hold(self, situation: Situation) -> bool:
        """Tells whether a rewrite under these conditions applies in an export."""
        first, last = self.opset
        return (
            first <= situation.opset <= last
            and (not self.capture or situation.capture in self.capture)
            and self.fit(situation.target)
            and all(_is_installed(text) for text in self.library)
        )

    def fit(self, target: Target | None) -> bool:
        """Tells whether the conditions on targets hold for one."""
        return not self.target or self._target_rank(target) > 0

    def more_specific_than(self, other: Conditions, situation: Situation) -> bool:
        """Tells whether these conditions are at least as narrow in each respect, and not equal.

        Two conditions that are each the narrower one in some respect have no order: which of the
        two a user means cannot be known.
        """
        first, last = self.opset
        other_first, other_last = other.opset
        within = other_first <= first and last <= other_last
        ranks = self._ranks(situation)
        other_ranks = other._ranks(situation)
        at_least = within and all(
            mine >= theirs for mine, theirs in zip(ranks, other_ranks, strict=True)
        )
        return at_least and (self.opset != other.opset or ranks != other_ranks)

    def _ranks(self, situation: Situation) -> tuple[int, int, int]:
        return self._target_rank(situation.target), len(self.library), int(bool(self.capture))

    def _target_rank(self, target: Target | None) -> int:
        """Number of words of the longest target that fits; 0 where none does."""
        if target is None:
            return 0
        present = set(str(target).split(":")[1:])
        fitting = [
            1 + len(tokens)
            for backend, *tokens in (text.split(":") for text in self.target)
            if backend == target.backend and present.issuperset(tokens)
        ]
        return max(fitting, default=0)

    def __str__(self) -> str:
        first, last = self.opset
        parts = [f"target {' or '.join(self.target)}"] if self.target else []
        if self.opset != (0, _NO_LIMIT):
            parts.append(f"opset {first}{' and later' if last == _NO_LIMIT else f' to {last}'}")
        parts += list(self.library)
        parts += [f"capture {' or '.join(self.capture)}"] if self.capture else []
        return ", ".join(parts) or "always"


def _several(value: str | Target | Iterable[str | Target] | None) -> tuple[str | Target, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str | Target) else tuple(value)


def _opset_range(opset: int | tuple[int, int] | range | None) -> tuple[int, int]:
    if opset is None:
        return 0, _NO_LIMIT
    if isinstance(opset, range):
        if opset.step == 1 and len(opset):
            return opset.start, opset.stop - 1
    elif isinstance(opset, tuple):
        if len(opset) == 2 and opset[0] <= opset[1]:
            return opset
    elif isinstance(opset, int) and not isinstance(opset, bool):
        return opset, _NO_LIMIT
    raise UsageError(
        f"a rewrite's opset is {opset!r}",
        fix="write the first opset, (first, last) or range(first, last + 1)",
    )


def _requirement(text: str) -> str:
    try:
        Requirement(text)
    except InvalidRequirement as cause:
        raise UsageError(
            f"cannot read the library requirement {text!r} of a rewrite",
            why=str(cause).splitlines()[0],
            fix="write it as for pip, e.g. 'torch>=2.10,<3'",
        ) from cause
    return text


def _is_installed(text: str) -> bool:
    requirement = Requirement(text)
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    # A build from source (2.14.0a0) is meant by ">=2.13" as well.
    return requirement.specifier.contains(version, prereleases=True)
