"""Probes: cases that are chosen to break suspicions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from modelport.capture.diagnosis.probe_memory import bounded_memory
from modelport.capture.diagnosis.probe_plans import (
    ELEMENTS_FREE,
    SizePlans,
    nearest_constants,
)
from modelport.capture.diagnosis.suspicions import Suspicion
from modelport.capture.diagnosis.symbolic_run import ShadowRun
from modelport.capture.reference_model import ReferenceModel
from modelport.errors import RunError
from modelport.numerics import Case, ReferenceCase, without_evidence
from modelport.numerics.cases import ValueRule, draw_values, example_sizes
from modelport.signature import Dim, TensorSpec

_DEAR_FLOATS = ("negated", "large", "zeros")
_FLOATS = ("resampled", *_DEAR_FLOATS, "small")
_MORE_FLOATS = ("positive", "negative", "constant", "huge")
_INTEGERS = ("resampled", "stepped")
_MORE_INTEGERS = ("zeros", "constant")
_BOOLEANS = ("resampled", "zeros", "constant")
_TOGETHER = ("zeros", "negative")
_DEAR_SIZES_WANTED, _SIZES_WANTED, _MORE_SIZES_WANTED = 2, 3, 6


@dataclass(frozen=True)
class Probe:
    """How to draw a case, and what it is one of.

    Attributes:
        draw: Draws the inputs.
        origin: How they are drawn, for people.
        moved: Names of the inputs or dimensions that they move.
        group: Name of the set of probes of which some suffice; empty where this one is wanted.
        wanted: How many of the group the original must take.
    """

    draw: Callable[[], dict[str, np.ndarray]]
    origin: str
    moved: frozenset[str]
    group: str = ""
    wanted: int = 0


def draw_probes(
    original: ReferenceModel,
    suspicions: Sequence[Suspicion],
    values: Mapping[str, ValueRule],
    seed: int = 0,
    *,
    thorough: bool = False,
    shadow: ShadowRun | None = None,
) -> list[Probe]:
    """Draws the probes for a model.

    Values: every input alone drawn anew, negated, a hundredth, tenfold and all zeros (those with a
    rule of the recipe's: drawn by it twice). Sizes: those that would break an assumption, and of
    every dimension alone, and of all together, sizes of every kind (`informative_sizes`). Large
    inputs, pictures say, get fewer of each.

    Args:
        original: The original model.
        suspicions: What is suspected.
        values: The recipe's rules for values.
        seed: Seed of the random generator.
        thorough: Values may have been baked in without a trace: each input is drawn all positive,
            all negative, constant and a thousandfold as well, and more sizes are tried.
        shadow: A run on symbolic sizes; it knows whole numbers of the code, which may be compared
            with integer inputs, and, where it ended early, with sizes.

    Returns:
        The probes, in the order in which they are to be tried.
    """
    rng = np.random.default_rng(seed)
    base = example_sizes(original.signature, original.examples)
    dear = original.signature.count_elements(base) > ELEMENTS_FREE
    constants = shadow.constants if shadow is not None and thorough else frozenset()
    is_blind = shadow is not None and not shadow.is_whole
    budget = _Budget(thorough, dear and not thorough, constants if is_blind else frozenset())
    return [
        *_value_probes(original, base, values, rng, budget),
        *_constant_probes(original, values, constants),
        *_size_probes(original, base, suspicions, values, rng, budget),
    ]


@dataclass(frozen=True)
class _Budget:
    """How much to try: thoroughly, or frugally where a run is dear."""

    thorough: bool
    frugal: bool
    size_constants: frozenset[int] = frozenset()

    @property
    def sizes(self) -> int:
        """Sizes wanted of a group."""
        if self.frugal:
            return _DEAR_SIZES_WANTED
        return _MORE_SIZES_WANTED if self.thorough else _SIZES_WANTED

    def manners(self, kind: str, has_sizes: bool) -> tuple[str, ...]:
        """Manners to draw values of a kind of dtype in."""
        if kind == "b":
            return _BOOLEANS
        if self.frugal and kind in "fc":
            # Other sizes come with values drawn anew.
            return _DEAR_FLOATS if has_sizes else ("resampled", *_DEAR_FLOATS)
        few, more = (_FLOATS, _MORE_FLOATS) if kind in "fc" else (_INTEGERS, _MORE_INTEGERS)
        return (*few, *more) if self.thorough else few


def run_probes(
    original: ReferenceModel, probes: Sequence[Probe]
) -> tuple[list[ReferenceCase], list[str]]:
    """Runs the original on its given cases and on probes, some of which it may refuse.

    Args:
        original: The original model.
        probes: What `draw_probes` drew.

    Returns:
        The cases with their outputs, the given ones first, and the refusals.

    Raises:
        RunError: The original refuses a case that it was given with.
    """
    references = [ReferenceCase(case, original.run(case.inputs)) for case in original.given]
    refused: list[str] = []
    taken: Counter[str] = Counter()
    for index, probe in enumerate(probes):
        if probe.group and taken[probe.group] >= probe.wanted:
            continue
        case = Case(f"probe-{index}", probe.draw(), probe.origin, probe.moved)
        try:
            with bounded_memory():
                outputs = original.run(case.inputs)
            reference = ReferenceCase(case, outputs)
            if why := without_evidence(reference, references[0]):
                refused.append(why)
                continue
            references.append(reference)
            taken[probe.group] += 1
        except RunError as error:
            refused.append(f"{case.name}: {error.what}: {error.why}")
    return references, refused


def _value_probes(
    original: ReferenceModel,
    base: Mapping[str, int],
    values: Mapping[str, ValueRule],
    rng: np.random.Generator,
    budget: _Budget,
) -> Iterator[Probe]:
    def draw(manner: str, *specs: TensorSpec) -> dict[str, np.ndarray]:
        return original.examples | {
            spec.name: draw_values(
                spec, base, original.examples, values.get(spec.name), manner, rng
            )
            for spec in specs
        }

    inputs = original.signature.inputs
    for spec in inputs:
        by_rule = spec.name in values
        manners = budget.manners(_kind(original, spec), bool(base))
        for manner in ("resampled", "again") if by_rule else manners:
            how = "drawn by the recipe's rule" if by_rule else f"{manner} values"
            origin = f"{how} of {spec.name!r}"
            yield Probe(partial(draw, manner, spec), origin, frozenset({spec.name}))
    floats = [spec for spec in inputs if _kind(original, spec) in "fc" and spec.name not in values]
    if budget.thorough and len(floats) > 1:
        for manner in _TOGETHER:
            moved = frozenset(spec.name for spec in floats)
            yield Probe(partial(draw, manner, *floats), f"{manner} values together", moved)


def _constant_probes(
    original: ReferenceModel, values: Mapping[str, ValueRule], constants: Collection[int]
) -> Iterator[Probe]:
    """Integer inputs at the whole numbers of the code, and just beyond them.

    What was compared with such a number, as in ``if int(step) > 1000``, went the other way.
    """
    for spec in original.signature.inputs:
        example = original.examples[spec.name]
        if example.dtype.kind not in "iu" or spec.name in values or not example.size:
            continue
        usual = int(example.max())
        for constant in nearest_constants(constants, usual):
            for value in (constant, constant + (1 if constant >= usual else -1)):
                if value > np.iinfo(example.dtype).max or (example == value).all():
                    continue
                yield Probe(
                    partial(_filled, original, spec, value),
                    f"{spec.name!r} is {value}",
                    frozenset({spec.name}),
                )


def _filled(original: ReferenceModel, spec: TensorSpec, value: int) -> dict[str, np.ndarray]:
    example = original.examples[spec.name]
    return original.examples | {spec.name: np.full_like(example, value)}


def _kind(original: ReferenceModel, spec: TensorSpec) -> str:
    dtype = original.examples[spec.name].dtype
    return "f" if dtype.name == "bfloat16" else dtype.kind


def _size_probes(
    original: ReferenceModel,
    base: Mapping[str, int],
    suspicions: Sequence[Suspicion],
    values: Mapping[str, ValueRule],
    rng: np.random.Generator,
    budget: _Budget,
) -> Iterator[Probe]:
    def draw(sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
        # One manner throughout, so that a difference is the sizes' doing.
        return {
            spec.name: draw_values(
                spec, sizes, original.examples, values.get(spec.name), "resampled", rng
            )
            for spec in original.signature.inputs
        }

    dims = {name: original.signature.dims.get(name, Dim(name)) for name in base}
    seen: set[tuple[tuple[str, int], ...]] = set()
    covered: Counter[str] = Counter()
    plans = SizePlans(original.signature, base, dims, budget.sizes, thorough=budget.thorough)
    for plan in plans.of(suspicions, budget.size_constants):
        sizes = {**base, **plan.sizes}
        moved = frozenset(name for name in plan.sizes if sizes[name] != base[name])
        key = tuple(sizes.items())
        if key in seen:
            covered[plan.group] += 1
        if key in seen or covered[plan.group] >= plan.required:
            continue
        if not moved or any(sizes[name] not in dims[name] for name in moved):
            continue
        seen.add(key)
        place = ", ".join(f"{name}={size}" for name, size in plan.sizes.items())
        yield Probe(partial(draw, sizes), f"sizes {place}", moved, plan.group, plan.required)
