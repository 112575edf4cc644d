"""What changed from one version of an ONNX operator to the next."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from modelport.ops.catalog.versions import Attribute, OperatorVersion, Parameter, short_type


def changes(versions: Sequence[OperatorVersion]) -> tuple[OperatorVersion, ...]:
    """The same versions, each with what changed against the one before it."""
    return (
        *versions[:1],
        *(
            replace(new, changes=tuple(_difference(old, new)))
            for old, new in itertools.pairwise(versions)
        ),
    )


def _difference(old: OperatorVersion, new: OperatorVersion) -> Iterator[str]:
    """Differences in the order in which one reads a schema; never nothing."""
    found = [
        *_parameters("input", old.inputs, new.inputs),
        *_parameters("output", old.outputs, new.outputs),
        *_attributes(old.attributes, new.attributes),
    ]
    if new.deprecated and not old.deprecated:
        found.append("deprecated")
    if new.function_body != old.function_body:
        found.append("has a function body" if new.function_body else "no function body any more")
    yield from found or ["wording of the specification, or meaning; the signature is the same"]


N = TypeVar("N", Parameter, Attribute)


def _named(
    role: str,
    old: Sequence[N],
    new: Sequence[N],
    describe: Callable[[N], str],
    compare: Callable[[N, N], Iterator[str]],
) -> Iterator[str]:
    """What was removed, added, and changed among things with names."""
    before = {item.name: item for item in old}
    after = {item.name: item for item in new}
    for name in sorted(before.keys() - after.keys()):
        yield f"{role} {name} removed"
    for name, item in after.items():
        if name in before:
            yield from compare(before[name], item)
        else:
            yield f"{role} {describe(item)}"


def _parameters(role: str, old: Sequence[Parameter], new: Sequence[Parameter]) -> Iterator[str]:
    def describe(added: Parameter) -> str:
        return f"{added.name} added{', optional' if added.optional else ''}"

    def compare(was: Parameter, now: Parameter) -> Iterator[str]:
        if now.optional != was.optional:
            yield f"{role} {now.name} is {'now optional' if now.optional else 'now required'}"
        if now.variadic != was.variadic:
            yield f"{role} {now.name} is {'now variadic' if now.variadic else 'now single'}"
        yield from _types(role, was, now)

    yield from _named(role, old, new, describe, compare)
    before, after = [item.name for item in old], [item.name for item in new]
    if [name for name in before if name in after] != [name for name in after if name in before]:
        yield f"{role}s reordered: {', '.join(after)}"


def _types(role: str, old: Parameter, new: Parameter) -> Iterator[str]:
    gained = [short_type(name) for name in new.types if name not in old.types]
    lost = [short_type(name) for name in old.types if name not in new.types]
    if gained:
        yield f"{role} {new.name} also takes {', '.join(gained)}"
    if lost:
        yield f"{role} {new.name} no longer takes {', '.join(lost)}"


def _attributes(old: Sequence[Attribute], new: Sequence[Attribute]) -> Iterator[str]:
    yield from _named("attribute", old, new, lambda added: f"{added} added", _attribute)


def _attribute(was: Attribute, now: Attribute) -> Iterator[str]:
    name = now.name
    if now.kind != was.kind:
        yield f"attribute {name} is now {now.kind}, was {was.kind}"
    if now.required != was.required:
        yield f"attribute {name} is now {'required' if now.required else 'optional'}"
    if now.default != was.default:
        yield f"attribute {name} defaults to {now.default!r}, was {was.default!r}"
    gained = [value for value in values(now) if value not in values(was)]
    lost = [value for value in values(was) if value not in values(now)]
    if gained or lost:
        parts = [f"adds {', '.join(gained)}"] if gained else []
        parts += [f"drops {', '.join(lost)}"] if lost else []
        yield f"attribute {name} {' and '.join(parts)}"


_LISTED = re.compile(r"\b(?:modes|values)\b(?: are)?:(.*?)(?:\.\s|\.?$)", re.DOTALL)
_QUOTED = re.compile(r"[\"'`]([A-Za-z][A-Za-z0-9_]*)[\"'`]")
_CASES = r"\b{name}[\"'`]* is [\"'`]+([A-Za-z][A-Za-z0-9_]*)[\"'`]"
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def values(attribute: Attribute) -> tuple[str, ...]:
    """The values that the specification's text names for a string attribute.

    ONNX has no field for them: they are read from a list ("Three modes: a (default), b and c."),
    else from cases ("if mode is "a", ..."), else from the words in quotes. It is a reading, and
    not a promise.

    Args:
        attribute: The attribute.

    Returns:
        The values in the text's order; empty where the attribute is no string.
    """
    if attribute.kind != "STRING":
        return ()
    listed = _LISTED.search(attribute.text)
    if listed:
        plain = re.sub(r"\([^)]*\)", "", listed.group(1))
        words = [word for word in _WORD.findall(plain) if word not in ("and", "or")]
    else:
        cases = re.findall(_CASES.format(name=re.escape(attribute.name)), attribute.text)
        words = cases or _QUOTED.findall(attribute.text)
    if isinstance(attribute.default, str) and attribute.default:
        words = [*words, attribute.default]
    return tuple(dict.fromkeys(words))
