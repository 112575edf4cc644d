"""The registered rewrites. Registration is for the whole process; application never is."""

from __future__ import annotations

import inspect
import itertools
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar, Unpack

from modelport.capture.rewriters.conditions import Conditions
from modelport.errors import UsageError
from modelport.target import Target

if TYPE_CHECKING:
    from torch import nn

Kind = Literal["function", "module"]
F = TypeVar("F", bound=Callable[..., Any])
TargetLike = str | Target | Iterable[str | Target] | None
OpsetLike = int | tuple[int, int] | range | None
NamesLike = str | Iterable[str] | None

_entries: list[Registration] = []
_lock = threading.Lock()
_serial = itertools.count()
_classes: dict[int, type[Any]] = {}


@dataclass(frozen=True, eq=False)
class Registration:
    """One registered rewrite, and the handle to remove it; a ``with`` block removes it at its end.

    Attributes:
        kind: ``function`` (functions and methods) or ``module`` (replacement by class).
        name: The dotted path of what is rewritten.
        function: What the user wrote.
        conditions: When it applies.
        where: ``file:line`` of the function.
        shipped: It comes with modelport; a user's own rewrite of the same thing is preferred.
    """

    kind: Kind
    name: str
    function: Callable[..., Any]
    conditions: Conditions
    where: str
    shipped: bool = False
    serial: int = field(default_factory=lambda: next(_serial))

    def remove(self) -> None:
        """Removes it; exports that have begun are not affected. Removing twice is no error."""
        with _lock:
            if self in _entries:
                _entries.remove(self)
                _classes.pop(self.serial, None)

    def __enter__(self) -> Registration:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()

    def __str__(self) -> str:
        return f"{self.name} ({self.conditions}) at {self.where}"


class When(TypedDict, total=False):
    """When a rewrite applies; what is left out holds for all.

    Attributes:
        target: ``BACKEND[:TOKEN]...`` or several of them.
        opset: The first opset, or ``(first, last)``, or a range.
        library: Requirements, e.g. ``torch>=2.10,<3``; one that is not installed does not hold.
        capture: ``dynamo``, ``trace``, ``script`` or several. ``torch.jit.script`` compiles source
            code, so that under it modules can be replaced, and functions cannot.
    """

    target: TargetLike
    opset: OpsetLike
    library: NamesLike
    capture: NamesLike


def rewrite(name: str, **when: Unpack[When]) -> Callable[[F], F]:
    """Replaces a function or a method while a model is exported, and only then.

    The decorated function is called as ``fn(ctx, *args, **kwargs)`` with the arguments of the
    original, which is at hand as ``ctx.original``; see `modelport.capture.rewriters.Context`.
    Of several rewrites whose conditions hold, the most specific one is used.

    Args:
        name: Dotted path: ``torch.nn.functional.interpolate``, ``torch.Tensor.repeat``,
            ``package.module.Class.forward``.
        **when: ``target``, ``opset``, ``library`` and ``capture``, as `When` says.

    Returns:
        A decorator that registers the function and returns it as it is.

    Raises:
        UsageError: A condition cannot be read.
    """
    return _decorator(partial(register_rewrite, name, **when))


def rewrite_module(cls: str | type[nn.Module], **when: Unpack[When]) -> Callable[[F], F]:
    """Replaces modules of a class, and of classes derived from it, in one export.

    The decorated function is called as ``fn(module, ctx)`` and returns the module to use instead.
    The class closest to the module's own class wins, then the most specific conditions.

    Args:
        cls: The class, or its dotted path.
        **when: As for `rewrite`.

    Returns:
        A decorator that registers the function and returns it as it is.

    Raises:
        UsageError: A condition cannot be read.
    """
    return _decorator(partial(register_module_rewrite, cls, **when))


def _decorator(register: Callable[[Callable[..., Any]], Registration]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        register(function)
        return function

    return decorate


def register_rewrite(name: str, function: Callable[..., Any], **when: Unpack[When]) -> Registration:
    """Does what `rewrite` does, and returns the handle that removes it."""
    if name.count(".") < 1:
        raise UsageError(
            f"cannot rewrite {name!r}: it is not a dotted path",
            fix="name the module as well, e.g. 'torch.nn.functional.interpolate'",
        )
    return add("function", name, function, Conditions.parse(**when))


def register_module_rewrite(
    cls: str | type[nn.Module], function: Callable[..., Any], **when: Unpack[When]
) -> Registration:
    """Does what `rewrite_module` does, and returns the handle that removes it."""
    conditions = Conditions.parse(**when)
    if isinstance(cls, str):
        return add("module", cls, function, conditions)
    registration = add("module", f"{cls.__module__}.{cls.__qualname__}", function, conditions)
    # A class that no path leads to (one inside a function) is known by itself.
    _classes[registration.serial] = cls
    return registration


def registrations(kind: Kind | None = None) -> tuple[Registration, ...]:
    """The registered rewrites, in the order of their registration."""
    with _lock:
        return tuple(entry for entry in _entries if kind is None or entry.kind == kind)


def common_target(targets: Sequence[Target]) -> Target:
    """The target to capture for, of several that one capture is to serve.

    Rewrites that come with modelport keep what is computed: the target that gets most of them is
    taken. Others may do anything, and must apply for all targets or for none.

    Args:
        targets: What the capture is for.

    Raises:
        UsageError: A rewrite applies for some of the targets and not for others.
    """
    for entry in registrations():
        fitting = [target for target in targets if entry.conditions.fit(target)]
        if not entry.shipped and 0 < len(fitting) < len(targets):
            others = [target for target in targets if target not in fitting]
            raise UsageError(
                f"{entry.name} is rewritten for {', '.join(map(str, fitting))} and not for "
                f"{', '.join(map(str, others))}: one capture cannot serve both",
                where=entry.where,
                fix="deploy into a bundle for each, or rewrite for all of them",
            )
    return max(
        targets, key=lambda target: sum(entry.conditions.fit(target) for entry in registrations())
    )


def same_rewrites(one: Target | None, other: Target | None) -> bool:
    """Whether a capture for one target gets the rewrites that a capture for another gets."""
    return all(
        entry.conditions.fit(one) == entry.conditions.fit(other) for entry in registrations()
    )


def class_of(registration: Registration) -> type[Any] | None:
    """The class that a module rewrite was registered with, where it was one and not a path."""
    return _classes.get(registration.serial)


def unregister(function: Callable[..., Any]) -> int:
    """Removes every rewrite that was registered with a function.

    Returns:
        How many there were.
    """
    found = [entry for entry in registrations() if entry.function is function]
    for entry in found:
        entry.remove()
    return len(found)


def add(
    kind: Kind,
    name: str,
    function: Callable[..., Any],
    conditions: Conditions,
    shipped: bool = False,
) -> Registration:
    """Registers a rewrite; `shipped` is for those that come with modelport."""
    if not callable(function):
        raise UsageError(f"the rewrite of {name} is {function!r}, which cannot be called")
    registration = Registration(kind, name, function, conditions, _place_of(function), shipped)
    for entry in registrations(kind):
        if _is_same(entry, registration):
            entry.remove()
    with _lock:
        _entries.append(registration)
    return registration


def _is_same(entry: Registration, other: Registration) -> bool:
    """Tells whether a file was run again, and its decorators with it: the later one counts."""
    identity = (entry.name, entry.conditions, entry.where, _qualname(entry))
    return (
        identity == (other.name, other.conditions, other.where, _qualname(other))
        and "<" not in _qualname(other)  # A function in a function may differ.
    )


def _place_of(function: Callable[..., Any]) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return repr(function)
    return f"{code.co_filename}:{code.co_firstlineno}"


def _qualname(registration: Registration) -> str:
    return getattr(registration.function, "__qualname__", "<unknown>")
