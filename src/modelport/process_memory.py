"""Memory of the machine and of processes, as Linux reports it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path


def free_memory() -> int | None:
    """Bytes of memory that are free; None where the system does not say."""
    try:
        fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        return int(fields["MemAvailable"].split()[0]) << 10
    except (OSError, KeyError, ValueError):
        return None


def uses_more_than(process: int, memory: int) -> bool:
    """Return True if a process and its children use more than so many bytes (PSS).

    Pages that several of them share count once.
    """
    family = list(_family(process))
    # The resident set costs less to read, and PSS is never more than it.
    return _sum(_resident, family) > memory and _sum(_proportional, family) > memory


def _family(process: int) -> Iterator[int]:
    yield process
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{process}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from _family(int(child))


def _sum(read: Callable[[int], int], processes: Sequence[int]) -> int:
    total = 0
    for process in processes:
        # It may have ended meanwhile.
        with contextlib.suppress(OSError):
            total += read(process)
    return total


def _resident(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _proportional(process: int) -> int:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:")), 0)
