"""Of all registered rewrites, those for one export."""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Hashable, Iterable

from modelport.capture.rewriters.conditions import Situation
from modelport.capture.rewriters.paths import Slot, resolve, resolve_class
from modelport.capture.rewriters.registry import Registration, class_of, registrations
from modelport.errors import UsageError

_LOG = logging.getLogger("modelport.capture")


def select_functions(situation: Situation, shipped: bool) -> list[tuple[Slot, Registration]]:
    """The functions to rewrite in an export, and with what.

    Args:
        situation: What the export is for.
        shipped: Whether the rewrites that come with modelport take part.

    Raises:
        UsageError: A path leads nowhere, or two rewrites are equally specific.
    """
    slots: dict[Hashable, Slot] = {}
    candidates: dict[Hashable, list[Registration]] = {}
    for entry in _holding("function", situation, shipped):
        slot = resolve(entry.name, entry.where)
        slots.setdefault(slot.key, slot)
        candidates.setdefault(slot.key, []).append(entry)
    return [(slots[key], most_specific(found, situation)) for key, found in candidates.items()]


def select_modules(situation: Situation, shipped: bool) -> dict[type[object], Registration]:
    """The classes whose modules to replace in an export, and with what.

    Args:
        situation: What the export is for.
        shipped: Whether the rewrites that come with modelport take part.

    Raises:
        UsageError: A path leads nowhere, or two rewrites are equally specific.
    """
    candidates: dict[type[object], list[Registration]] = {}
    for entry in _holding("module", situation, shipped):
        cls = class_of(entry) or resolve_class(entry.name, entry.where)
        candidates.setdefault(cls, []).append(entry)
    return {cls: most_specific(found, situation) for cls, found in candidates.items()}


def most_specific(found: Iterable[Registration], situation: Situation) -> Registration:
    """The one whose conditions are narrower than those of each other one.

    Raises:
        UsageError: There is no such one; it names those that nothing is narrower than.
    """
    entries = list(found)
    # What the user wrote is meant to replace what comes with modelport, however narrow that is.
    entries = [entry for entry in entries if not entry.shipped] or entries
    best = [
        entry
        for entry in entries
        if not any(
            other.conditions.more_specific_than(entry.conditions, situation) for other in entries
        )
    ]
    if len(best) == 1:
        if len(entries) > 1:
            _LOG.debug("rewrite %s: chosen of %d, the most specific", best[0], len(entries))
        return best[0]
    raise UsageError(
        f"{len(best)} rewrites of {best[0].name} apply, and none is more specific than the others",
        where="; ".join(f"{entry.where} ({entry.conditions})" for entry in best),
        why=f"both hold for target {situation.target or 'any'}, opset {situation.opset}, "
        f"capture {situation.capture}",
        fix="narrow the target, opset or library of one of them, or remove one",
    )


def _is_met(entry: Registration) -> bool:
    """Whether a shipped rewrite has something to replace.

    No model has parts of a library that is not imported, and another version of it may lack what is
    replaced here. What is torch's own must be there.
    """
    if entry.name.startswith("torch."):
        return True
    found: object = None
    path = ""
    for name in entry.name.split("."):
        path = f"{path}.{name}".removeprefix(".")
        # Statically: a library's __getattr__ may import what nobody asked for.
        found = sys.modules.get(path) or inspect.getattr_static(found, name, None)
    return found is not None


def _holds(entry: Registration, situation: Situation) -> bool:
    is_held = entry.conditions.hold(situation)
    if not is_held and not entry.shipped:
        _LOG.debug("rewrite %s: not used, its conditions do not hold: %s", entry, situation)
    return is_held


def _holding(kind: str, situation: Situation, shipped: bool) -> list[Registration]:
    return [
        entry
        for entry in registrations()
        if entry.kind == kind
        and ((shipped and _is_met(entry)) or not entry.shipped)
        and _holds(entry, situation)
    ]
