"""The garbage collector, out of the way where nothing becomes garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collection_paused() -> Iterator[None]:
    """Makes no collections of cycles within.

    For imports, and for tables that are kept: the collector would walk over all of PyTorch's
    modules several times, and find nothing.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
