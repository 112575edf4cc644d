"""An operator beside another implementation of the same."""

from __future__ import annotations

from collections.abc import Callable

import torch

from benchmarks.interleave import Row, interleave

ROUNDS = 21


def beside(
    what: str, ours: Callable[[], torch.Tensor], name: str, other: Callable[[], torch.Tensor]
) -> list[Row]:
    """Two rows: the time of a call, and how much faster it is than the other one's.

    Args:
        what: What is computed, on how many threads.
        ours: Calls the operator.
        name: Whose the other one is.
        other: Calls the other implementation; its result must be the same.
    """
    torch.testing.assert_close(ours(), other(), rtol=1e-3, atol=1e-3)
    timings = interleave({"ours": ours, "other": other}, rounds=ROUNDS)
    least = timings["ours"].minimum
    ratio = timings["other"].minimum / least
    return [
        Row(what, f"{least * 1e3:.3f} ms"),
        Row(f"over {name}, {what}", f"{ratio:.2f}x", ">= 1x", ratio >= 1),
    ]
