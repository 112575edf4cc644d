"""From dotted paths to the objects that they name."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from typing import Any

from modelport.errors import UsageError

MISSING: Any = object()
"""Stands for an attribute that its owner does not define itself."""


@dataclass(frozen=True)
class Slot:
    """Where a function is looked up when somebody calls it: an attribute of a module or class.

    Attributes:
        owner: The module or class.
        attribute: The attribute's name.
        path: The dotted path that led here.
    """

    owner: Any
    attribute: str
    path: str

    @property
    def key(self) -> tuple[int, str]:
        """Equal for two paths that lead to the same place."""
        return id(self.owner), self.attribute

    def own(self) -> Any:
        """What the owner itself defines, or `MISSING` where it inherits the attribute."""
        return vars(self.owner).get(self.attribute, MISSING)

    def found(self) -> Any:
        """What a look-up finds, static and class methods still in their wrappers."""
        return inspect.getattr_static(self.owner, self.attribute)


def resolve(path: str, where: str) -> Slot:
    """Finds the module or class that holds what a dotted path names.

    Args:
        path: For example ``torch.Tensor.repeat``.
        where: ``file:line`` of the rewrite, for the error.

    Raises:
        UsageError: Nothing is there, or it cannot be called.
    """
    parent, _, attribute = path.rpartition(".")
    owner = _lookup(parent, path, where)
    try:
        value = inspect.getattr_static(owner, attribute)
    except AttributeError as cause:
        raise UsageError(
            f"cannot rewrite {path!r}: {parent} has no {attribute!r}",
            where=where,
            fix=_BAD_PATH_FIX,
        ) from cause
    if not (inspect.ismodule(owner) or inspect.isclass(owner)):
        raise UsageError(
            f"cannot rewrite {path!r}: {parent} is an object, not a module or a class",
            where=where,
            fix="name the function in its module, or the method in its class",
        )
    if not (callable(value) or isinstance(value, staticmethod | classmethod)):
        raise UsageError(
            f"cannot rewrite {path!r}: it is a {type(value).__name__}, which cannot be called",
            where=where,
            fix="rewrite a function or a method that uses it",
        )
    return Slot(owner, attribute, path)


def resolve_class(path: str, where: str) -> type[Any]:
    """Finds the class that a dotted path names.

    Raises:
        UsageError: Nothing is there, or it is not a class.
    """
    found = _lookup(path, path, where)
    if not isinstance(found, type):
        raise UsageError(
            f"cannot replace modules of {path!r}: it is a {type(found).__name__}, not a class",
            where=where,
        )
    return found


_BAD_PATH_FIX = (
    "correct the path; if the package or its version may differ, say so with library='NAME>=...'"
)


def _lookup(path: str, whole: str, where: str) -> Any:
    """Imports the longest part of a path that is a module, and looks the rest up in it."""
    names = path.split(".")
    for count in range(len(names), 0, -1):
        module_name = ".".join(names[:count])
        try:
            found: Any = importlib.import_module(module_name)
        except ModuleNotFoundError as cause:
            # A module that exists and lacks one of its own imports is another story.
            if cause.name is None or not f"{module_name}.".startswith(f"{cause.name}."):
                raise _bad_path(whole, module_name, where, str(cause)) from cause
            continue
        except (ImportError, ValueError) as cause:
            raise _bad_path(whole, module_name, where, str(cause)) from cause
        for name in names[count:]:
            try:
                found = getattr(found, name)
            except AttributeError as cause:
                raise _bad_path(whole, path, where, str(cause)) from cause
        return found
    raise _bad_path(whole, path, where, f"there is no module {names[0]!r}")


def _bad_path(path: str, part: str, where: str, why: str) -> UsageError:
    return UsageError(
        f"cannot rewrite {path!r}: {part} is not there", where=where, why=why, fix=_BAD_PATH_FIX
    )
