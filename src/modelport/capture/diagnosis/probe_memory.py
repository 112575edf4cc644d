"""A bound on the memory that a probe may take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelport.process_memory import free_memory

_SHARE = 4
"""A probe may take one part in so many of the memory that is free."""


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Within it, what asks for too much memory fails, in place of taking the machine's.

    A probe moves values, too; where a value is a scale or a size, ten times as much of it may be a
    thousand times the work. Where the platform does not say how much memory there is, there is no
    bound.
    """
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):
        yield
        return
    free = free_memory()
    if free is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + free // _SHARE
    if soft != resource.RLIM_INFINITY:
        limit = min(limit, soft)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
