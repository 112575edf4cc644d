"""The scope of one export, in which rewrites are applied."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn

from modelport.capture.rewriters import library
from modelport.capture.rewriters.conditions import CAPTURES, Situation
from modelport.capture.rewriters.modules import replace_modules
from modelport.capture.rewriters.patch import (
    genuine,
    is_indexing,
    make_wrapper,
    put,
    put_aliases,
    this_thread,
)
from modelport.capture.rewriters.paths import Slot
from modelport.capture.rewriters.registry import Registration
from modelport.capture.rewriters.report import Active, Applied
from modelport.capture.rewriters.selection import select_functions, select_modules
from modelport.capture.torch_private.script_if_tracing import compiling_within
from modelport.errors import UsageError
from modelport.target import Target

# What a class or a module holds is seen by the whole process, so there is one exporting thread at
# a time; it may open further scopes inside its own.

_LOG = logging.getLogger("modelport.capture")

_exporting = threading.RLock()


@contextmanager
def rewriting(
    model: Any = None,
    *,
    target: str | Target | None = None,
    opset: int = 18,
    capture: str = "dynamo",
    shipped: bool = True,
) -> Iterator[Active]:
    """Applies the registered rewrites while a model is exported, and undoes them all.

    Functions are replaced where they are defined, where they were imported by name
    (``from x import f``) and where the model's modules keep them as attributes. They are rewritten
    for the thread that entered only. Scopes nest: an inner one's rewrite of a function takes the
    outer one's place, and its ``ctx.original`` is the genuine original. Another thread that wants
    a scope waits.

    What keeps the original and is not reached: a method bound before the scope, a function in a
    list, a closure or a default argument, and modules that are not registered as submodules.

    Args:
        model: The model, whose modules are replaced by class; anything that is not an
            ``nn.Module``, or None, is left alone.
        target: Where the model is to run; None for any backend.
        opset: Opset of the default domain.
        capture: ``dynamo``, ``trace`` or ``script``.
        shipped: Whether the rewrites that come with modelport take part.

    Yields:
        The rewrites that were selected, with their numbers of calls; its ``model`` is the one to
        export.

    Raises:
        UsageError: A path leads nowhere, two rewrites are equally specific, or a module's
            rewrite is wrong. Nothing is left applied.
    """
    if capture not in CAPTURES:
        raise UsageError(f"unknown capture {capture!r}", fix=f"one of {', '.join(CAPTURES)}")
    situation = Situation(None if target is None else Target.parse(target), opset, capture)
    if shipped:
        library.load()
    active = Active(model)
    with _exporting, this_thread(), ExitStack() as undo:
        modules = list(model.modules()) if isinstance(model, nn.Module) else []
        if isinstance(model, nn.Module):
            selected = select_modules(situation, shipped)
            active.model = replace_modules(model, selected, situation, active, undo)
            modules += [part for part in active.model.modules() if part not in set(modules)]
        _rewrite_functions(situation, shipped, modules, active, undo)
        try:
            yield active
        finally:
            _log_calls(active)


def _rewrite_functions(
    situation: Situation,
    shipped: bool,
    modules: list[nn.Module],
    active: Active,
    undo: ExitStack,
) -> None:
    selected = select_functions(situation, shipped)
    if situation.capture == "script":
        _note_script(selected, active)
        return
    # All are resolved before the first is put, so that a method that is inherited by another
    # rewritten one has the genuine original.
    prepared = []
    for slot, registration in selected:
        record = active.add(Applied(registration))
        found = slot.found()
        prepared.append((slot, found, make_wrapper(slot, registration, situation, record), record))
    aliases: dict[int, tuple[Any, Applied]] = {}
    for slot, found, wrapper, record in prepared:
        if is_indexing(slot):
            put(slot, wrapper, undo)
        elif not isinstance(slot.owner, type):
            # An outer scope's wrapper is what the aliases hold, where there is one.
            aliases[id(found)] = aliases[id(genuine(found))] = wrapper, record
    taken = {slot.key for slot, *_ in prepared}
    wrappers = [(slot, wrapper) for slot, _, wrapper, _ in prepared if not is_indexing(slot)]
    applied = undo.enter_context(ExitStack())

    def apply() -> None:
        for slot, wrapper in wrappers:
            put(slot, wrapper, applied)
        put_aliases(aliases, taken, modules, applied)

    @contextmanager
    def originals() -> Iterator[None]:
        applied.close()
        try:
            yield
        finally:
            apply()

    apply()
    if situation.capture == "trace":
        # A function that is compiled when it is traced is compiled from source, and from originals.
        undo.enter_context(compiling_within(originals))


def _log_calls(active: Active) -> None:
    for record in active.called:
        _LOG.debug("rewrite %s", record)
    for record in active.unused:
        _LOG.debug("rewrite %s: not called", record.registration)
    idle = [record.name for record in active if record.shipped and not record.calls]
    _LOG.debug("shipped rewrites without a call: %s", ", ".join(idle) or "none")


def _note_script(selected: list[tuple[Slot, Registration]], active: Active) -> None:
    for _, registration in selected:
        note = "torch.jit.script compiles source code: functions cannot be rewritten under it"
        active.add(Applied(registration, note=note))
