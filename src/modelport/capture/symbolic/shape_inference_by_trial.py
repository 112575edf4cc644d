"""Finds by trial how an operator's output shapes follow from its inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from modelport.capture.torch_private import fakes

Tensors = Sequence[torch.Tensor]


@dataclass(frozen=True)
class Source:
    """Where a size is read: an axis of an input tensor, or a size argument (axis -1)."""

    index: int
    axis: int = -1

    def read(self, tensors: Tensors, sizes: Sequence[Any]) -> Any:
        """The size at this place."""
        return sizes[self.index] if self.axis < 0 else tensors[self.index].shape[self.axis]


@dataclass(frozen=True)
class Affine:
    """A size that is ``offset + sum(slope * source)``."""

    offset: int
    terms: tuple[tuple[int, Source], ...] = ()

    def read(self, tensors: Tensors, sizes: Sequence[Any]) -> Any:
        """The size for these inputs."""
        total: Any = self.offset
        for slope, source in self.terms:
            total = total + slope * source.read(tensors, sizes)
        return total


@dataclass(frozen=True)
class ShapeRule:
    """How output shapes follow from input shapes; None is a size that depends on data."""

    outputs: tuple[tuple[torch.dtype, torch.device, tuple[Affine | None, ...]], ...]

    def make(self, tensors: Tensors, sizes: Sequence[Any]) -> list[torch.Tensor]:
        """Tensors of the shapes that the rule gives."""
        context: Any = torch.library.get_ctx()
        made = []
        for dtype, device, dims in self.outputs:
            shape = [
                context.new_dynamic_size() if dim is None else dim.read(tensors, sizes)
                for dim in dims
            ]
            made.append(torch.empty(shape, dtype=dtype, device=device))
        return made


class Prober:
    """Finds a shape rule by running an operator on real inputs of other sizes and values.

    Inputs are only ever enlarged, by repeating their last entry, and integers only lowered
    towards 0: a kernel that trusts indices in its inputs must not be led out of bounds.
    """

    _DELTAS = (1, 2, 3)

    def __init__(
        self,
        run: Callable[..., tuple[list[torch.Tensor], Any]],
        tensors: Tensors,
        sizes: Sequence[int],
    ) -> None:
        self._run = run
        self._tensors = list(tensors)
        self._sizes = list(sizes)

    def find(self, tensors: Tensors, sizes: Sequence[Any]) -> ShapeRule:
        """Finds the rule.

        Args:
            tensors: The operator's inputs without data, whose sizes say what is dynamic.
            sizes: Its symbolic integers.

        Returns:
            The rule. A size that follows no affine rule, or that the values change, is dynamic.
        """
        places = self._places(tensors, sizes)
        with fakes.without_modes():
            return self._find(places)

    def _find(self, places: dict[Any, list[Source]]) -> ShapeRule:
        outputs, _ = self._run(self._tensors, self._sizes)
        base = [list(output.shape) for output in outputs]
        slopes = self._all_slopes(places, base)
        dims = self._combine(places, slopes, base)
        self._drop_disproved(places, dims, base)
        self._drop_data_dependent(dims, base)
        return ShapeRule(
            tuple(
                (output.dtype, output.device, tuple(shape))
                for output, shape in zip(outputs, dims, strict=True)
            )
        )

    def _places(self, tensors: Tensors, sizes: Sequence[Any]) -> dict[Any, list[Source]]:
        """Places of equal symbolic size, which vary together."""
        places: dict[Any, list[Source]] = {}
        for index, tensor in enumerate(tensors):
            for axis, size in enumerate(tensor.shape):
                if isinstance(size, torch.SymInt):
                    expression = fakes.size_expression(size)
                    places.setdefault(expression, []).append(Source(index, axis))
        for index, size in enumerate(sizes):
            places.setdefault(fakes.size_expression(size), []).append(Source(index))
        return places

    def _shapes_with(
        self, places: dict[Any, list[Source]], deltas: dict[Any, int]
    ) -> list[list[int]] | None:
        """Output shapes with sizes enlarged; None where the operator refuses."""
        known = {name: where[0].read(self._tensors, self._sizes) for name, where in places.items()}
        moved = {name: size + deltas.get(name, 0) for name, size in known.items()}
        tensors, sizes = list(self._tensors), list(self._sizes)
        for name, where in places.items():
            size = moved[name]
            if not getattr(name, "is_symbol", False) and hasattr(name, "subs"):
                # An expression of other sizes, such as 2*s, follows them.
                follows = name.subs(moved)
                size = int(follows) if follows.is_number else size
            for source in where:
                if source.axis < 0:
                    sizes[source.index] = size
                else:
                    tensors[source.index] = _enlarge(tensors[source.index], source.axis, size)
        return self._shapes(tensors, sizes)

    def _shapes(self, tensors: Tensors, sizes: Sequence[int]) -> list[list[int]] | None:
        try:
            outputs, _ = self._run(tensors, sizes)
        except Exception:  # noqa: BLE001 - the user's operator may refuse a size in any way
            return None  # This probe says nothing; `find` goes by the others.
        return [list(output.shape) for output in outputs]

    def _all_slopes(
        self, places: dict[Any, list[Source]], base: list[list[int]]
    ) -> dict[Any, list[list[int | None]]]:
        """Slopes by input size; sizes that only change together count for their first."""
        found: dict[Any, list[list[int | None]]] = {}
        for name in places:
            if name in found:
                continue
            slopes = self._slopes(places, [name], base)
            if slopes is None:
                size = places[name][0].read(self._tensors, self._sizes)
                together = [
                    other
                    for other, where in places.items()
                    if where[0].read(self._tensors, self._sizes) == size
                ]
                slopes = self._slopes(places, together, base)
                if slopes is not None:
                    found.update({other: [[0] * len(row) for row in base] for other in together})
            found[name] = [[None] * len(row) for row in base] if slopes is None else slopes
        return found

    def _slopes(
        self, places: dict[Any, list[Source]], names: list[Any], base: list[list[int]]
    ) -> list[list[int | None]] | None:
        """By how much each output size grows with some input sizes; None where not evenly.

        None instead of the list stands for an operator that refuses every change.
        """
        answered = False
        found: list[list[int | None] | None] = [None] * len(base)
        for delta in self._DELTAS:
            shapes = self._shapes_with(places, dict.fromkeys(names, delta))
            if shapes is None:
                continue
            answered = True
            for index, (before, after) in enumerate(zip(base, shapes, strict=False)):
                if len(before) != len(after):
                    found[index] = [None] * len(before)
                    continue
                rates = [(b - a) / delta for a, b in zip(before, after, strict=True)]
                whole = [int(rate) if rate == int(rate) else None for rate in rates]
                last = found[index]
                found[index] = (
                    whole
                    if last is None
                    else [a if a == b else None for a, b in zip(last, whole, strict=True)]
                )
        if not answered:
            return None
        return [
            [None] * len(before) if rates is None else rates
            for before, rates in zip(base, found, strict=True)
        ]

    def _combine(
        self,
        places: dict[Any, list[Source]],
        slopes: dict[Any, list[list[int | None]]],
        base: list[list[int]],
    ) -> list[list[Affine | None]]:
        dims: list[list[Affine | None]] = []
        for index, shape in enumerate(base):
            row: list[Affine | None] = []
            for axis, size in enumerate(shape):
                rates = [(slopes[name][index][axis], name) for name in places]
                if any(rate is None for rate, _ in rates):
                    row.append(None)
                    continue
                terms = tuple((rate, places[name][0]) for rate, name in rates if rate)
                offset = size - sum(
                    rate * source.read(self._tensors, self._sizes) for rate, source in terms
                )
                row.append(Affine(offset, terms))
            dims.append(row)
        return dims

    def _drop_disproved(
        self,
        places: dict[Any, list[Source]],
        dims: list[list[Affine | None]],
        base: list[list[int]],
    ) -> None:
        """Makes sizes dynamic for which the rule fails when all inputs grow at once."""
        names = list(places)
        if len(names) < 2:
            return
        deltas = {name: 1 + number for number, name in enumerate(names)}
        shapes = self._shapes_with(places, deltas)
        if shapes is None:
            shapes = self._shapes_with(places, dict.fromkeys(names, 1))
            deltas = dict.fromkeys(names, 1)
        if shapes is None:
            return
        by_source = {places[name][0]: delta for name, delta in deltas.items()}
        for row, before, after in zip(dims, base, shapes, strict=False):
            for axis, dim in enumerate(row):
                if dim is None:
                    continue
                grown = sum(slope * by_source[source] for slope, source in dim.terms)
                if len(after) != len(before) or before[axis] + grown != after[axis]:
                    row[axis] = None

    def _drop_data_dependent(self, dims: list[list[Affine | None]], base: list[list[int]]) -> None:
        """Makes sizes dynamic that change with the values of an input."""
        for index, tensor in enumerate(self._tensors):
            for other in _other_values(tensor):
                tensors = list(self._tensors)
                tensors[index] = other
                shapes = self._shapes(tensors, self._sizes)
                for row, before, after in zip(dims, base, shapes or [], strict=False):
                    for axis in range(len(before)):
                        if len(after) != len(before) or before[axis] != after[axis]:
                            row[axis] = None


def _other_values(tensor: torch.Tensor) -> list[torch.Tensor]:
    if tensor.is_floating_point():
        return [tensor * 2, tensor * 0.5, -tensor]
    if tensor.dtype is torch.bool:
        return [~tensor]
    return [] if tensor.is_complex() else [torch.div(tensor, 2, rounding_mode="trunc")]


def _enlarge(tensor: torch.Tensor, axis: int, size: int) -> torch.Tensor:
    entries = torch.arange(size, device=tensor.device).clamp(max=max(tensor.shape[axis] - 1, 0))
    return tensor.index_select(axis, entries) if tensor.shape[axis] else tensor
