"""Which PyTorch operators could express something, and what ONNX operators they map to."""

from __future__ import annotations

import functools
import re

from modelport.capture.support.aten import Mapping, mappings
from modelport.capture.support.declarations import called_operators, functional_sources
from modelport.capture.torch_private import operators as private
from modelport.errors import UsageError
from modelport.ops.catalog.search import Match, Rank, Reason, excerpt

_NAMESPACES = ("aten::", "torchvision::", "prims::")
_NOT_FORWARD = re.compile(r"_backward|_jvp|_out$|_$|_copy$")


def find_aten(text: str) -> list[Match]:
    """Searches PyTorch's operators by name, and ``torch.nn.functional`` by its source.

    Args:
        text: One word or several; all must be found in one place.

    Returns:
        The matches, mapped ones first; ``since`` is the lowest opset of any mapping, of either
        exporter, and None where there is no mapping.

    Raises:
        UsageError: The text is empty.
    """
    words = text.casefold().split()
    if not words:
        raise UsageError("there is nothing to search for", fix="give a word, such as bicubic")
    matches = [_match(name, words) for name in _candidates() if _has(name, words)]
    matches += _functional_matches(words)
    return sorted(matches, key=lambda match: (match.since is None, match.weight))


@functools.cache
def _candidates() -> tuple[str, ...]:
    names = {*private.operator_names(), *private.symbolic_functions()}
    names |= {entry.name.partition(".")[0] for entry in private.torchlib_entries()}
    kept = {n for n in names if n.startswith(_NAMESPACES) and not _NOT_FORWARD.search(n)}
    return tuple(sorted(kept))


def _has(content: str, words: list[str]) -> bool:
    return all(word in content.casefold() for word in words)


def _match(name: str, words: list[str]) -> Match:
    short = name.rpartition("::")[2]
    rank = Rank.NAME if short == "_".join(words) else Rank.PART_OF_NAME
    found = mappings(name)
    reasons = [Reason(rank, mapping.since, _mapping_text(mapping)) for mapping in found]
    if not reasons:
        reasons = [Reason(rank, 0, "no ONNX mapping of its own in either exporter")]
    since = min((mapping.since for mapping in found), default=None)
    return Match(name, "pytorch", since, tuple(reasons))


def _mapping_text(mapping: Mapping) -> str:
    uses = ", ".join(map(str, mapping.onnx)) or "no operator"
    return f"{mapping.operator} -> {uses}; {mapping.exporter} exporter, {mapping.place}"


def _functional_matches(words: list[str]) -> list[Match]:
    found = []
    for name, (place, source) in functional_sources().items():
        if _has(name, words) or not _has(source, words) or name.startswith("_"):
            continue
        line = next(line for line in source.splitlines() if words[0] in line.casefold())
        text = f"its source at {place} says: {excerpt(line.strip(), words[0])}"
        since = _since_of_calls(source, words)
        reason = Reason(Rank.TEXT, since or 0, text)
        found.append(Match(f"torch.nn.functional.{name}", "pytorch", since, (reason,)))
    return found


def _since_of_calls(source: str, words: list[str]) -> int | None:
    """The lowest opset of what a Python function calls for the words; None where that is open."""
    mapped = {
        name: found for name in called_operators(source) if (found := mappings(f"aten::{name}"))
    }
    meant = [name for name in mapped if _has(name, words)] or (
        list(mapped) if len(mapped) == 1 else []
    )
    return min((mapping.since for name in meant for mapping in mapped[name]), default=None)
