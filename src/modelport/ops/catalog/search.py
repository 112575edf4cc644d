"""Which ONNX operators could express something: a search over names, attributes and texts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from modelport.errors import UsageError

if TYPE_CHECKING:
    from modelport.ops.catalog.versions import OperatorVersion


class Rank(IntEnum):
    """How much a reason weighs; the smallest number comes first."""

    NAME = 0
    PART_OF_NAME = 1
    ATTRIBUTE_VALUE = 2
    ATTRIBUTE_NAME = 3
    ATTRIBUTE_TEXT = 4
    PARAMETER = 5
    TEXT = 6


@dataclass(frozen=True)
class Reason:
    """Why an operator matches.

    Attributes:
        rank: How much it weighs.
        since: The first opset where it holds.
        text: The place, and the words around the match.
        literal: Whether it is the searched text itself, not a related word.
    """

    rank: Rank
    since: int
    text: str
    literal: bool = True


@dataclass(frozen=True)
class Match:
    """An operator that could express what was searched for.

    Attributes:
        name: ``Resize``, ``ai.onnx.ml::Scaler``, ``aten::upsample_bicubic2d``.
        framework: ``onnx`` or ``pytorch``.
        since: The first opset at which it can; None for a PyTorch operator that has no ONNX
            mapping.
        reasons: Why, the weightiest first.
    """

    name: str
    framework: str
    since: int | None
    reasons: tuple[Reason, ...]

    @property
    def weight(self) -> tuple[bool, int, str]:
        """What matches are sorted by."""
        best = self.reasons[0]
        return (not best.literal, int(best.rank), self.name)

    def to_json(self) -> dict[str, Any]:
        """The match as plain dicts and lists."""
        data = asdict(self)
        for reason, written in zip(self.reasons, data["reasons"], strict=True):
            written["rank"] = reason.rank.name.lower()
        return data


def find(text: str) -> list[Match]:
    """Searches ONNX's operators, all versions, all domains.

    A word is found as a part of a name, an attribute's name, value or text, an input's or output's
    name, and the operator's text. Words with a prefix for two or three dimensions are also looked
    for without it, since ONNX's modes go without (``bicubic``: ``cubic``); such a match is marked
    and comes after the literal ones.

    Args:
        text: One word or several; all must be found in one place.

    Returns:
        The matches, the weightiest first. ``since`` is the first opset at which the operator
        matches literally, or matches at all.

    Raises:
        UsageError: The text is empty.
    """
    from modelport.ops.catalog.operators import describe, histories

    words = _words(text)
    related = [re.sub(r"^(bi|tri)(?=\w{4})", "", word) for word in words]
    matches = []
    for domain, name in histories():
        operator = describe(f"{domain}::{name}" if domain else name, kernels=False)
        reasons = _reasons(operator.name, operator.versions, words, literal=True)
        if related != words:
            reasons += _reasons(operator.name, operator.versions, related, literal=False)
        match = make_match(operator.qualified_name, "onnx", reasons)
        if match is not None:
            matches.append(match)
    return sorted(matches, key=lambda match: match.weight)


def _words(text: str) -> list[str]:
    words = text.casefold().split()
    if not words:
        raise UsageError("there is nothing to search for", fix="give a word, such as bicubic")
    return words


def make_match(name: str, framework: str, reasons: list[Reason]) -> Match | None:
    """A match of what is left when a place counts once: where it matched first.

    Args:
        name: The operator's name.
        framework: ``onnx`` or ``pytorch``.
        reasons: All that was found.

    Returns:
        The match, or None where there is no reason.
    """
    if not reasons:
        return None
    ordered = sorted(reasons, key=lambda reason: (not reason.literal, reason.rank, reason.since))
    literal = [reason.since for reason in ordered if reason.literal]
    since = min(literal or [reason.since for reason in ordered])
    return Match(name, framework, since, tuple(ordered))


def _reasons(
    name: str, versions: tuple[OperatorVersion, ...], words: list[str], *, literal: bool
) -> list[Reason]:
    """The first version of each place that has the words."""
    found: dict[tuple[Rank, str], Reason] = {}
    for version in versions:
        for rank, place, content in _places(name, version):
            if all(word in content.casefold() for word in words):
                if rank is Rank.NAME and content.casefold() != " ".join(words):
                    rank = Rank.PART_OF_NAME
                text = f"{place}: {excerpt(content, words[0])}"
                found.setdefault((rank, place), Reason(rank, version.since, text, literal))
    return list(found.values())


def _places(name: str, version: OperatorVersion) -> Iterator[tuple[Rank, str, str]]:
    from modelport.ops.catalog.changes import values

    yield Rank.NAME, "name", name
    for attribute in version.attributes:
        yield Rank.ATTRIBUTE_NAME, "attribute", attribute.name
        for value in values(attribute):
            yield Rank.ATTRIBUTE_VALUE, f"value of attribute {attribute.name}", value
        yield Rank.ATTRIBUTE_TEXT, f"text of attribute {attribute.name}", attribute.text
    for role, parameters in (("input", version.inputs), ("output", version.outputs)):
        for parameter in parameters:
            yield Rank.PARAMETER, role, parameter.name
    yield Rank.TEXT, "text", version.text


def excerpt(content: str, word: str, around: int = 45) -> str:
    """The words around the first match, on one line."""
    content = " ".join(content.split())
    position = content.casefold().find(word)
    start = max(0, position - around)
    end = position + len(word) + around
    if start > 0:
        start = content.find(" ", start) + 1 if " " in content[start:position] else start
    if end < len(content):
        end = (
            content.rfind(" ", position + len(word), end)
            if " " in content[position + len(word) : end]
            else end
        )
    return (
        f"{'... ' if start > 0 else ''}{content[start:end]}{' ...' if end < len(content) else ''}"
    )
