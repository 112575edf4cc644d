"""The thread counts that operators are measured with."""

from __future__ import annotations

from collections.abc import Iterator

import torch

COUNTS = (1, 2)


def thread_counts() -> Iterator[int]:
    """1, then 2, each set in PyTorch (and so for the operators) while it is the current one."""
    before = torch.get_num_threads()
    try:
        for count in COUNTS:
            torch.set_num_threads(count)
            yield count
    finally:
        torch.set_num_threads(before)
