"""The hook in `torch.autograd.Function.apply`, installed for as long as a bridge is open."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from modelport.capture import torch_private

Handler = Callable[[type, tuple[Any, ...]], Any]
"""Takes a class with `symbolic` and the arguments of its `apply`, and returns its results."""


class _State(threading.local):
    """What the hook does in this thread; other threads do not notice it."""

    handler: Handler | None = None
    inside = False


_STATE = _State()
_LOCK = threading.Lock()
_installed = 0


@contextmanager
def handle_functions(handler: Handler) -> Iterator[None]:
    """Hands every call of a Function with `symbolic` in this thread to a handler.

    Functions that a Function's own forward applies are left alone: the outer symbolic holds.

    Args:
        handler: Called in place of the class's `apply`.
    """
    previous = _STATE.handler
    _install()
    _STATE.handler = handler
    try:
        yield
    finally:
        _STATE.handler = previous
        _uninstall()


@contextmanager
def aside() -> Iterator[None]:
    """Leaves Functions alone: a forward that runs in this block keeps what it applies itself."""
    previous = _STATE.inside
    _STATE.inside = True
    try:
        yield
    finally:
        _STATE.inside = previous


def _install() -> None:
    global _installed
    with _LOCK:
        if not _installed:
            torch_private.install_apply(_apply)
        _installed += 1


def _uninstall() -> None:
    global _installed
    with _LOCK:
        _installed -= 1
        if not _installed:
            torch_private.remove_apply()


def _apply(cls: type, *args: Any, **kwargs: Any) -> Any:
    handler = _STATE.handler
    if handler is None or _STATE.inside or kwargs or not has_symbolic(cls):
        return torch_private.original_apply(cls)(*args, **kwargs)
    with aside():
        return handler(cls, args)


def has_symbolic(cls: type) -> bool:
    """Whether a Function's class says how it becomes ONNX."""
    return callable(getattr(cls, "symbolic", None))


def function_classes() -> list[type]:
    """Every living Function class with `symbolic`."""
    found: list[type] = []
    waiting: list[type] = [torch_private.resolve("function base")]
    while waiting:
        cls = waiting.pop()
        waiting.extend(type.__subclasses__(cls))
        if has_symbolic(cls):
            found.append(cls)
    return found
