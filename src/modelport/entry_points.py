"""Entry points: objects of other packages, by group."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from modelport.errors import UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


@functools.cache
def installed(group: str) -> dict[str, EntryPoint]:
    """The entry points of a group, by name.

    Looking for them takes longer than loading a bundle: ask only where one may be needed.
    """
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in entry_points(group=group)}


def load_entry(entry: EntryPoint, kind: str) -> Any:
    """Imports the object of an entry point.

    Args:
        entry: The entry point.
        kind: What it is, for the error: ``backend``.

    Raises:
        UsageError: It cannot be imported.
    """
    package = package_of(entry)
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"the {kind} {entry.name!r} of {package} cannot be imported",
            where=entry.value,
            why=f"{type(error).__name__}: {error}",
            fix=f"reinstall {package}, or remove it",
        ) from error


def package_of(entry: EntryPoint) -> str:
    """The name of the package that declares an entry point."""
    return entry.dist.name if entry.dist else entry.value
