"""The operator that an exporter looked up last, and the next opset that has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from modelport.capture.torch_private.access import resolve
from modelport.capture.torch_private.operators import torchlib_entries
from modelport.capture.torch_private.symbolics import registered_opsets


class TranslationLookup:
    """Lookups in the table of the exporter that translates programs.

    Attributes:
        opset: The opset that it exported at.
        operator: Name of the operator that it looked up last: the one at which it failed, if it
            failed. Empty where it looked up none.
    """

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.operator = ""

    def later_opset(self) -> int | None:
        """The next opset at which the table has another translation of the operator."""
        known = [entry.since for entry in torchlib_entries() if entry.name == self.operator]
        later = (opset for opset in known if opset > self.opset)
        return min(later, default=None) if self.operator else None


class SymbolicLookup(TranslationLookup):
    """Lookups in the table of the exporter of TorchScript."""

    def later_opset(self) -> int | None:
        """The next opset at which the operator has another symbolic function."""
        later = (opset for opset in registered_opsets(self.operator) if opset > self.opset)
        return min(later, default=None)


@contextmanager
def watching_symbolics(opset: int) -> Iterator[SymbolicLookup]:
    """Within, exports of TorchScript note which symbolic function they look up."""
    registry, lookup = resolve("symbolic registry"), SymbolicLookup(opset)
    find = registry.get_function_group

    def noted(name: str) -> Any:
        lookup.operator = name
        return find(name)

    registry.get_function_group = noted
    try:
        yield lookup
    finally:
        del registry.get_function_group
