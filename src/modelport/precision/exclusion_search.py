"""The smallest set of operators to leave in higher precision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from modelport.progress import Progress, Silent

Measure = Callable[[Sequence[str]], float]
"""Function from names of nodes that stay in float32 to the loss of accuracy."""


@dataclass(frozen=True)
class Attempt:
    """A set of operators that was tried.

    Attributes:
        kept: Names of the nodes that stayed in float32.
        drop: How much accuracy was lost.
    """

    kept: tuple[str, ...]
    drop: float


def sensitivities(
    nodes: Sequence[str], measure: Measure, progress: Progress | None = None
) -> dict[str, float]:
    """Loss of accuracy of each node when it alone is in lower precision.

    Args:
        nodes: Names of the nodes.
        measure: Measures a set of nodes that stay.
        progress: Told of every node.

    Returns:
        What is lost, by node, the largest first.
    """
    progress = progress or Silent()
    lost = {}
    for index, name in enumerate(nodes):
        progress.start(f"sensitivity: {index + 1} of {len(nodes)}")
        lost[name] = measure([other for other in nodes if other != name])
    return dict(sorted(lost.items(), key=lambda item: -item[1]))


def search(
    order: Iterable[str],
    measure: Measure,
    bound: float,
    whole: Attempt,
    progress: Progress | None = None,
) -> tuple[Attempt, list[Attempt]]:
    """Finds the smallest number of the most sensitive nodes to exclude for a bound to hold.

    The number doubles until the bound holds, and is then halved in between: the errors of nodes add
    up, so that keeping more of the most sensitive ones loses less.

    Args:
        order: Nodes, the most sensitive first.
        measure: Measures a set of nodes that stay.
        bound: How much may be lost.
        whole: What all of them in lower precision lose.
        progress: Told of every attempt.

    Returns:
        The smallest set that meets the bound, or the best one seen where none does, and all
        attempts in the order they were made. At least one node is always of lower precision.
    """
    names, progress = list(order), progress or Silent()
    tried: dict[int, Attempt] = {0: whole}

    def attempt(count: int) -> Attempt:
        if count not in tried:
            progress.start(f"search: {count} of {len(names)} in float32")
            kept = tuple(names[:count])
            tried[count] = Attempt(kept, measure(kept))
        return tried[count]

    most = len(names) - 1
    count = 1
    while count < most and attempt(count).drop > bound:
        count *= 2
    high = min(count, most)
    low = high // 2
    if attempt(high).drop > bound:
        best = min(tried.values(), key=lambda item: item.drop)
        return best, list(tried.values())
    while low + 1 < high:
        middle = (low + high) // 2
        if attempt(middle).drop > bound:
            low = middle
        else:
            high = middle
    return tried[high], list(tried.values())
