"""torch's tables of translations: made once, and asked which opset has an operator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from modelport.capture.torch_private.access import resolve
from modelport.capture.torch_private.operators import (
    copy_registry,
    registry_for,
    target_name,
    torchlib_entries,
)
from modelport.capture.torch_private.symbolics import registered_opsets


class Asked:
    """What an exporter asked its table for.

    Attributes:
        opset: The opset that it exported at.
        operator: Name of the operator that it asked for last: the one at which it failed, if it
            failed. Empty where it came to none.
    """

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.operator = ""

    def later_opset(self) -> int | None:
        """The next opset at which the tables have another translation of the operator."""
        known = [entry.since for entry in torchlib_entries() if entry.name == self.operator]
        later = (opset for opset in known if opset > self.opset)
        return min(later, default=None) if self.operator else None


class AskedSymbolics(Asked):
    """The same, of the exporter of TorchScript."""

    def later_opset(self) -> int | None:
        """The next opset at which the operator has another symbolic function."""
        later = (opset for opset in registered_opsets(self.operator) if opset > self.opset)
        return min(later, default=None)


@contextmanager
def symbolics_asked(opset: int) -> Iterator[AskedSymbolics]:
    """Within, exports of TorchScript note which symbolic function they ask for."""
    registry, asked = resolve("symbolic registry"), AskedSymbolics(opset)
    find = registry.get_function_group

    def noted(name: str) -> Any:
        asked.operator = name
        return find(name)

    registry.get_function_group = noted
    try:
        yield asked
    finally:
        del registry.get_function_group


@contextmanager
def reused(opset: int) -> Iterator[Asked]:
    """Within, exports at an opset copy one table, which torch reads out of 500 functions' sources.

    That is up to half of a small model's export. Each gets a copy, so that a translation of one's
    own stays with the export that it was given to.
    """
    registry, asked = resolve("translations"), Asked(opset)
    build = vars(registry)["from_torchlib"]
    made = registry_for(opset, {})

    def copied(cls: Any, opset_version: int = made.opset_version) -> Any:
        if opset_version == made.opset_version:
            return _noting(copy_registry(made), asked)
        return build.__get__(None, cls)(opset_version)

    registry.from_torchlib = classmethod(copied)
    try:
        yield asked
    finally:
        registry.from_torchlib = build


def _noting(registry: Any, asked: Asked) -> Any:
    """The same table, which notes what it is asked for."""
    find = registry.get_decomps

    def noted(target: Any) -> Any:
        asked.operator = target_name(target)
        return find(target)

    registry.get_decomps = noted
    return registry
