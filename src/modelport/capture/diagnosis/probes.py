"""Probes: cases that are chosen to break suspicions."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from modelport.capture.diagnosis.suspicion import Suspicion
from modelport.capture.original import Original
from modelport.proof import Case
from modelport.proof.cases import ValueRule, draw_values, example_sizes
from modelport.signature import Dim

_STEPS = (1, 3, -1)
_LARGEST_GROWTH = 8


def draw_probes(
    original: Original,
    suspicions: Sequence[Suspicion],
    values: Mapping[str, ValueRule],
    seed: int = 0,
) -> list[Case]:
    """Draws the probes for a model.

    Values: every input alone drawn anew, negated, a hundredth, tenfold (those with a rule of the
    recipe's: drawn by it twice). Sizes: every dimension alone one and three up and one down, all
    of them together, and the sizes that would break an assumption.

    Args:
        original: The original model.
        suspicions: What is suspected.
        values: The recipe's rules for values.
        seed: Seed of the random generator.

    Returns:
        Cases, each with the names of the inputs or dimensions that it moves.
    """
    rng = np.random.default_rng(seed)
    base = example_sizes(original.signature, original.examples)
    probes = [
        *_value_probes(original, base, values, rng),
        *_size_probes(original, base, suspicions, values, rng),
    ]
    return [
        Case(f"probe-{index}", inputs, origin, frozenset(moved))
        for index, (inputs, origin, moved) in enumerate(probes)
    ]


Probe = tuple[dict[str, np.ndarray], str, set[str]]


def _value_probes(
    original: Original,
    base: Mapping[str, int],
    values: Mapping[str, ValueRule],
    rng: np.random.Generator,
) -> Iterator[Probe]:
    for spec in original.signature.inputs:
        by_rule = spec.name in values
        manners = ("resampled", "again") if by_rule else ("resampled", "negated", "small", "large")
        if np.dtype(original.examples[spec.name].dtype).kind in "biuUO" and not by_rule:
            manners = ("resampled", "stepped")
        for manner in manners:
            drawn = draw_values(spec, base, original.examples, values.get(spec.name), manner, rng)
            inputs = original.examples | {spec.name: drawn}
            how = "drawn by the recipe's rule" if by_rule else f"{manner} values"
            yield inputs, f"{how} of {spec.name!r}", {spec.name}


def _size_probes(
    original: Original,
    base: Mapping[str, int],
    suspicions: Sequence[Suspicion],
    values: Mapping[str, ValueRule],
    rng: np.random.Generator,
) -> Iterator[Probe]:
    dims = {name: original.signature.dims.get(name, Dim(name)) for name in base}
    plans = [dict(sizes) for suspicion in suspicions for sizes in suspicion.sizes]
    for name, step in itertools.product(dims, _STEPS):
        plans.append({name: base[name] + step})
    if len(dims) > 1:
        plans += [{name: size + step for name, size in base.items()} for step in (1, 2)]
    seen: set[tuple[tuple[str, int], ...]] = set()
    for plan in plans:
        sizes = {**base, **plan}
        key = tuple(sizes.items())
        if key in seen or not _is_allowed(plan, dims, base):
            continue
        seen.add(key)
        # One manner throughout, so that a difference is the sizes' doing.
        inputs = {
            spec.name: draw_values(
                spec, sizes, original.examples, values.get(spec.name), "resampled", rng
            )
            for spec in original.signature.inputs
        }
        place = ", ".join(f"{name}={size}" for name, size in plan.items())
        yield inputs, f"sizes {place}", {name for name in plan if plan[name] != base[name]}


def _is_allowed(plan: Mapping[str, int], dims: Mapping[str, Dim], base: Mapping[str, int]) -> bool:
    """Whether sizes lie inside the ranges, move something, and stay affordable."""
    if any(size not in dims[name] for name, size in plan.items()):
        return False
    growth = float(np.prod([size / max(base[name], 1) for name, size in plan.items()]))
    small = all(size <= 64 for size in plan.values())
    return dict(plan) != {name: base[name] for name in plan} and (
        growth <= _LARGEST_GROWTH or small
    )
