"""Plans of sizes: which dimensions a probe moves, and how far."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from modelport.capture.diagnosis.probe_sizes import informative_sizes
from modelport.capture.diagnosis.suspicions import Suspicion
from modelport.signature import Dim, Signature

ELEMENTS_FREE = 1 << 16
"""Elements of all inputs beyond which a run is dear."""
_ELEMENTS_SUSPECTED = 1 << 20
"""The same for sizes that may break an assumption."""
_MOST_GROWTH, _MOST_GROWTH_SUSPECTED = 2, 8
"""Growth of the inputs over the example's that is allowed where they are dear."""
_FAR = (64, 16, 4)
"""Factors from the example's size to sizes far from it."""
_MOST_CONSTANTS = 8
"""Whole numbers of the code that a size or an input is set to."""

Sizes = Mapping[str, int]


def nearest_constants(constants: Collection[int], usual: int) -> list[int]:
    """Whole numbers of the code, those nearest to a usual value first, a few."""
    return sorted(constants, key=lambda number: abs(number - usual))[:_MOST_CONSTANTS]


@dataclass(frozen=True)
class SizePlan:
    """Sizes that a probe has.

    Attributes:
        sizes: Sizes by dimension; others stay as they are.
        group: Name of the set of plans of which some suffice.
        required: How many of the group the original must take.
    """

    sizes: Sizes
    group: str
    required: int


class SizePlans:
    """Plans of sizes for a model.

    Args:
        signature: The original's inputs.
        base: The example's sizes by dimension.
        dims: The declared ranges by dimension.
        required: How many sizes of each dimension the original must take.
        thorough: Sizes far from the example's are tried as well.
    """

    def __init__(
        self,
        signature: Signature,
        base: Sizes,
        dims: Mapping[str, Dim],
        required: int,
        *,
        thorough: bool,
    ) -> None:
        self._signature, self._base, self._dims = signature, base, dims
        self._required, self._thorough = required, thorough
        self._usual = signature.count_elements(base)

    def of(self, suspicions: Sequence[Suspicion], constants: Collection[int]) -> Iterator[SizePlan]:
        """Plans, the most telling first.

        Those that break an assumption; both ends of each range; whole numbers of the code; then
        sizes of every kind, of each dimension alone and of all together.

        Args:
            suspicions: What is suspected.
            constants: Whole numbers of the code that sizes may be compared with.
        """
        for index, suspicion in enumerate(suspicions):
            for sizes in suspicion.sizes:
                yield from self._moved(sizes, f"assumption {index}", suspicion.required)
        for name, dim in self._dims.items():
            for end in (dim.min, dim.max):
                if end is not None:
                    yield from self._moved({name: end}, f"end {end} of {name}", 1)
            for constant in nearest_constants(constants, self._base[name]):
                for size in (constant, constant + dim.multiple):
                    yield from self._moved({name: size}, f"{name} is {size}", 1)
            if self._thorough:
                for factor in _FAR:
                    size = dim.nearest(factor * self._base[name])
                    if self._is_affordable({name: size}, 1, ELEMENTS_FREE):
                        yield from self._moved({name: size}, f"far sizes of {name}", 1)
        yield from self._of_every_kind()

    def _moved(self, sizes: Sizes, group: str, required: int) -> Iterator[SizePlan]:
        """Sizes of some dimensions, with the others small where that is cheaper, then as usual.

        A model may refuse the small ones; then it is asked for the others.
        """
        small = self._fitting(sizes)
        if small != sizes:
            yield SizePlan(small, group, required)
        if self._is_affordable(sizes, _MOST_GROWTH_SUSPECTED, _ELEMENTS_SUSPECTED):
            yield SizePlan(sizes, group, required)

    def _fitting(self, sizes: Sizes) -> Sizes:
        """The same sizes; other dimensions are halved, the largest first, while inputs are larger
        than the example's.
        """
        found = {**self._base, **sizes}
        others = [name for name in self._base if name not in sizes]
        while self._signature.count_elements(found) > max(self._usual, 1):
            smaller = {
                name: size
                for name in others
                if (size := max(self._dims[name].nearest(found[name] // 2), 1)) < found[name]
            }
            if not smaller:
                break
            largest = max(smaller, key=lambda name: found[name])
            found[largest] = smaller[largest]
        moved = {name for name in others if found[name] != self._base[name]}
        return {name: size for name, size in found.items() if name in sizes or name in moved}

    def _is_affordable(self, sizes: Sizes, growth: int, free: int) -> bool:
        elements = self._signature.count_elements({**self._base, **sizes})
        return elements <= max(growth * self._usual, free)

    def _of_every_kind(self) -> Iterator[SizePlan]:
        kinds = {
            name: informative_sizes(size, self._dims[name]) for name, size in self._base.items()
        }
        plans = [({name: size}, f"sizes of {name}") for name in kinds for size in kinds[name]]
        if len(kinds) > 1:
            # Side by side in the same order: sizes that were equal stay so, as a model may want.
            for shift in range(max(map(len, kinds.values()), default=0)):
                chosen = {
                    name: sizes[shift % len(sizes)] for name, sizes in kinds.items() if len(sizes)
                }
                plans.append((chosen, "sizes together"))
        for sizes, group in plans:
            if self._is_affordable(sizes, _MOST_GROWTH, ELEMENTS_FREE):
                yield SizePlan(sizes, group, self._required)
