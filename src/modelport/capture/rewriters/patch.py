"""Putting functions in the place of others, and putting everything back."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from modelport.capture.rewriters.conditions import Situation
from modelport.capture.rewriters.paths import MISSING, Slot
from modelport.capture.rewriters.registry import Registration
from modelport.capture.rewriters.report import Applied, Context

_ORIGINAL = "__modelport_original__"
_INDEXING = ("__getitem__", "__setitem__")


class Running(threading.local):
    """What is going on in this thread.

    Attributes:
        scopes: Number of scopes that this thread is in. Another thread that runs a model
            meanwhile is not exporting, and reaches the originals.
        keys: The rewrites that are running; a rewrite is never applied inside itself.
    """

    def __init__(self) -> None:
        self.scopes = 0
        self.keys: set[object] = set()


_running = Running()


@contextmanager
def this_thread() -> Iterator[None]:
    """Makes wrappers rewrite in this thread."""
    _running.scopes += 1
    try:
        yield
    finally:
        _running.scopes -= 1


def genuine(function: Any) -> Any:
    """A function as it is outside of all scopes."""
    return getattr(function, _ORIGINAL, function)


def make_wrapper(
    slot: Slot, registration: Registration, situation: Situation, record: Applied
) -> Any:
    """Builds what is looked up instead of the original.

    While a model is exported, torch calls a function again by its name, in the middle of the
    original (its function modes do, several times over): a wrapper that rewrote those calls as
    well would apply the rewrite to its own result. So a call of a name from inside its own
    rewrite or original reaches the original.

    Args:
        slot: What is rewritten.
        registration: The rewrite.
        situation: What the export is for.
        record: Where calls are counted.

    Returns:
        A function, or a static or class method where the original is one.
    """
    found = slot.found()
    original = genuine(found.__func__ if isinstance(found, staticmethod | classmethod) else found)
    key_of = _key_maker(slot)
    rewrite = registration.function

    def call_original(*args: Any, **kwargs: Any) -> Any:
        key = key_of(args)
        if key in _running.keys:
            return original(*args, **kwargs)
        _running.keys.add(key)
        try:
            return original(*args, **kwargs)
        finally:
            _running.keys.discard(key)

    # Dynamo (strict export) does not run side effects, but it runs what it takes for constant.
    @torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
    def count() -> int:
        record.calls += 1
        return record.calls

    @torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
    def take_back() -> int:
        record.calls -= 1
        return record.calls

    def keep(*args: Any, **kwargs: Any) -> Any:
        take_back()
        return call_original(*args, **kwargs)

    context = Context(
        call_original, keep, situation.target, situation.opset, situation.capture, slot.path
    )

    def call_rewrite(*args: Any, **kwargs: Any) -> Any:
        key = key_of(args)
        if key in _running.keys or not _running.scopes:
            return original(*args, **kwargs)
        _running.keys.add(key)
        count()
        try:
            return rewrite(context, *args, **kwargs)
        finally:
            _running.keys.discard(key)

    wrapper = functools.wraps(original)(call_rewrite)
    setattr(wrapper, _ORIGINAL, original)
    if situation.capture == "dynamo" and _is_torchs(original, slot):
        # A strict export traces twice: it would record the original that the rewrite called, and
        # rewrite that one as well when it runs its recording. So it records the wrapper instead.
        torch.compiler.allow_in_graph(wrapper)  # type: ignore[no-untyped-call]
    if isinstance(found, staticmethod | classmethod):
        return type(found)(wrapper)
    return wrapper


def _is_torchs(original: Any, slot: Slot) -> bool:
    """Tells whether torch's function modes know a function; they call it again by its name."""
    if isinstance(slot.owner, type) and issubclass(slot.owner, nn.Module):
        return False
    homes = (getattr(original, "__module__", None), getattr(slot.owner, "__module__", None))
    return any((home or "").split(".")[0] == "torch" for home in (*homes, slot.path))


def _key_maker(slot: Slot) -> Callable[[tuple[Any, ...]], object]:
    """How the running rewrites are told apart.

    A method of a module is rewritten in each module for itself, so that a module inside another
    one of the same class is not forgotten.
    """
    place = slot.key
    if isinstance(slot.owner, type) and issubclass(slot.owner, nn.Module):
        return lambda args: (place, id(args[0]) if args else None)
    return lambda args: place


class _Indexing(TorchFunctionMode):
    """Rewrites indexing of tensors without an attribute of their class.

    Python fills the C slots of a sequence for a class that has had ``__getitem__`` once, for good:
    ``torch.tensor([torch.tensor(3)])`` would be an error from then on.
    """

    def __init__(self, original: Any, wrapper: Any) -> None:
        super().__init__()
        self._original = original
        self._wrapper = wrapper

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Calls the wrapper instead of the original."""
        function = self._wrapper if func == self._original else func
        return function(*args, **(kwargs or {}))


def is_indexing(slot: Slot) -> bool:
    """Whether a slot is that of indexing tensors, which `put` rewrites by a mode."""
    return slot.owner is torch.Tensor and slot.attribute in _INDEXING


def put(slot: Slot, wrapper: Any, undo: ExitStack) -> None:
    """Puts a wrapper in a slot; `undo` puts back what was there, or nothing where nothing was."""
    if is_indexing(slot):
        undo.enter_context(_Indexing(slot.found(), wrapper))
        return
    before = slot.own()
    setattr(slot.owner, slot.attribute, wrapper)
    if before is MISSING:
        undo.callback(delattr, slot.owner, slot.attribute)
    else:
        undo.callback(setattr, slot.owner, slot.attribute, before)


def put_aliases(
    replacements: dict[int, tuple[Any, Applied]],
    taken: set[tuple[int, str]],
    modules: Iterable[Any],
    undo: ExitStack,
) -> None:
    """Replaces functions where they were imported by name, or kept in a module of the model.

    Args:
        replacements: The wrapper and the record, by the id of the function that it replaces.
        taken: Keys of slots that have a wrapper of their own.
        modules: Modules of the model, whose attributes may be functions (``self.act = F.relu``).
        undo: Puts everything back.
    """
    if not replacements:
        return
    for name, module in list(sys.modules.items()):
        if isinstance(module, ModuleType):
            _put_in(vars(module), name, id(module), replacements, taken, undo)
    for module in modules:
        _put_in(vars(module), type(module).__qualname__, id(module), replacements, taken, undo)


def _put_in(
    namespace: MutableMapping[str, Any],
    place: str,
    owner: int,
    replacements: dict[int, tuple[Any, Applied]],
    taken: set[tuple[int, str]],
    undo: ExitStack,
) -> None:
    # Thousands of namespaces hold none of them: this line has to be fast.
    if replacements.keys().isdisjoint(map(id, namespace.values())):
        return
    for name, value in list(namespace.items()):
        replacement = replacements.get(id(value))
        if replacement is None or (owner, name) in taken:
            continue
        wrapper, record = replacement
        namespace[name] = wrapper
        undo.callback(namespace.__setitem__, name, value)
        if f"{place}.{name}" not in record.places:
            record.places.append(f"{place}.{name}")
