"""torch's table of translations: made once, not once an export."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from modelport.capture.torch_private.access import resolve
from modelport.capture.torch_private.operators import copy_registry, registry_for


@contextmanager
def reused(opset: int) -> Iterator[None]:
    """Within, exports at an opset copy one table, which torch reads out of 500 functions' sources.

    That is up to half of a small model's export. Each gets a copy, so that a translation of one's
    own stays with the export that it was given to.
    """
    registry = resolve("translations")
    build = vars(registry)["from_torchlib"]
    made = registry_for(opset, {})

    def copied(cls: Any, opset_version: int = made.opset_version) -> Any:
        if opset_version == made.opset_version:
            return copy_registry(made)
        return build.__get__(None, cls)(opset_version)

    registry.from_torchlib = classmethod(copied)
    try:
        yield
    finally:
        registry.from_torchlib = build
