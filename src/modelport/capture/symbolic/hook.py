"""The hook in `torch.autograd.Function.apply`, installed for as long as a bridge is open."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from modelport import source_location
from modelport.capture.torch_private import access, functions
from modelport.errors import ExportError

Handler = Callable[[type, tuple[Any, ...]], Any]
"""Takes a class with `symbolic` and the arguments of its `apply`, and returns its results."""


class _State(threading.local):
    """What the hook does in this thread; other threads do not notice it."""

    handler: Handler | None = None
    inside = False
    seen_by_dynamo: set[type] = set()  # noqa: RUF012


_STATE = _State()
_DYNAMO_FUNCTIONS: list[Any] = []
_LOCK = threading.Lock()
_installed = 0
_undo: list[Callable[[], None]] = []


@contextmanager
def handle_functions(handler: Handler, seen_by_dynamo: set[type] | None = None) -> Iterator[None]:
    """Hands every call of a Function with `symbolic` in this thread to a handler.

    Functions that a Function's own forward applies are left alone: the outer symbolic holds.

    Args:
        handler: Called in place of the class's `apply`.
        seen_by_dynamo: Gets the classes that dynamo meets, in strict mode and control flow.
    """
    previous = _STATE.handler, _STATE.seen_by_dynamo
    _install()
    _STATE.handler = handler
    _STATE.seen_by_dynamo = set() if seen_by_dynamo is None else seen_by_dynamo
    try:
        yield
    finally:
        _STATE.handler, _STATE.seen_by_dynamo = previous
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
            _undo.append(functions.install_apply(_apply, _is_wanted))
            _undo.append(functions.watch_transforms(_refuse_transformed))
            _undo.append(functions.redirect_dynamo(_for_dynamo))
        _installed += 1


def _uninstall() -> None:
    global _installed
    with _LOCK:
        _installed -= 1
        if not _installed:
            while _undo:
                _undo.pop()()
            _DYNAMO_FUNCTIONS.clear()


def _is_wanted(cls: type) -> bool:
    """Whether a handler takes the calls of a class here and now."""
    return _STATE.handler is not None and not _STATE.inside and has_symbolic(cls)


def _apply(cls: type, otherwise: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    handler = _STATE.handler
    if handler is None or not _is_wanted(cls):
        return otherwise(*args, **kwargs)
    with aside():
        if kwargs:
            args = _positional(cls, args, kwargs)
        return handler(cls, args)


def _positional(cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """All arguments by position, as `symbolic` gets them."""
    signature = inspect.signature(cls.forward)
    context = () if functions.has_setup_context(cls) else (None,)
    bound = signature.bind(*context, *args, **kwargs)
    return bound.args[len(context) :]


def _refuse_transformed(cls: type) -> None:
    """torch makes other Functions out of one that is transformed, and `symbolic` is lost."""
    if not _is_wanted(cls):
        return
    raise ExportError(
        f"the symbolic function of {cls.__qualname__} cannot be honoured under torch.func",
        where=source_location.of_caller() or None,
        why="vmap, grad and the like replace the Function by its batched or differentiated forward",
        fix="apply it to the whole batch, outside of vmap or grad; or declare the operation with "
        "torch.library (with register_vmap) and register_symbolic",
    )


def _for_dynamo(cls: type) -> Callable[..., Any] | None:
    if not _is_wanted(cls):
        return None
    _STATE.seen_by_dynamo.add(cls)

    def apply_honoured(*args: Any, **kwargs: Any) -> Any:
        return _apply(cls, functions.original_apply(cls), *args, **kwargs)

    allow: Any = torch.compiler.allow_in_graph
    allow(apply_honoured)
    # Dynamo knows the function by its id: it must live as long as what dynamo traced.
    _DYNAMO_FUNCTIONS.append(apply_honoured)
    return apply_honoured


def has_symbolic(cls: type) -> bool:
    """Whether a Function's class says how it becomes ONNX."""
    return callable(getattr(cls, "symbolic", None))


def function_classes() -> list[type]:
    """Every living Function class with `symbolic`."""
    found: list[type] = []
    waiting: list[type] = [access.resolve("function base")]
    while waiting:
        cls = waiting.pop()
        waiting.extend(type.__subclasses__(cls))
        if has_symbolic(cls):
            found.append(cls)
    return found
