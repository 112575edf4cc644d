"""Cases: inputs drawn inside the declared ranges, other in shape and value than the example."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelport.arrays import Array
from modelport.errors import UsageError
from modelport.signature import Dim, Signature, TensorSpec

ValueRule = tuple[float, float] | Callable[[np.random.Generator, tuple[int, ...]], Array]

EXAMPLE = "example"
"""Name of the case that a recipe gives."""

_FARTHEST = {"fp16": 20.0, "int8": 1.1, "fp8": 1.1}
"""How many times larger than the example a case may be to be a measure of a precision."""

_SCALED = ("int8",)
"""Precisions whose numbers are chosen by data, for values of their signs and their size."""

_USUAL = 4.0
"""How many times larger than the example's the values of a usual case may be."""

_LEAST = 0.5
"""How many times as large as the example a case must be to be a measure of those."""

_UNKNOWN_SIZE = 8
_FACTORS = {"negated": -1.0, "small": 0.01, "large": 10.0}
_PRIMES = (2, 3, 5, 7, 11, 13, 17, 23, 31, 47, 61, 97, 127, 193, 251, 383, 509, 769, 1021)


@dataclass(frozen=True)
class Case:
    """Inputs to run a model on.

    Attributes:
        name: A short name, unique among a verification's cases.
        inputs: Arrays by input name.
        origin: How they were drawn, for people.
        moved: Names of the inputs whose values, or the dimensions whose sizes, differ from the
            example's; empty where all may.
    """

    name: str
    inputs: dict[str, Array]
    origin: str
    moved: frozenset[str] = frozenset()


def draw_cases(
    signature: Signature,
    examples: Mapping[str, Array],
    values: Mapping[str, ValueRule] | None = None,
    seed: int = 0,
) -> Iterator[Case]:
    """Draws cases without end.

    Sizes: first the smallest of every dimension, then each dimension moved alone (a prime near the
    example's, its largest size, its smallest), then all at their largest, then random ones; a case
    takes at most about four times the example's elements. Values: drawn from the example's own,
    normal with its mean and deviation, and with its signs turned.

    Args:
        signature: The inputs; a dimension without a declared range starts at 1 and is open.
        examples: Example arrays; an input without one gets standard normal values (0 or 1 for
            integers).
        values: Rules that draw an input's values, by its name.
        seed: Seed of the random generator.

    Yields:
        Cases, other than the example in value, and in shape where it has dynamic dimensions.

    Raises:
        UsageError: A rule names no input, or gives an array of the wrong shape.
    """
    values = values or {}
    names = [spec.name for spec in signature.inputs]
    for name in values:
        if name not in names:
            raise UsageError(
                f"a rule draws values of {name!r}, which is no input",
                fix=f"the inputs are: {', '.join(names)}",
            )
    rng = np.random.default_rng(seed)
    base = example_sizes(signature, examples)
    plans = _other_than(base, _draw_sizes(signature, base, rng), signature)
    manners = itertools.cycle(("resampled", "normal", "negated"))
    for index, (sizes, manner) in enumerate(zip(plans, manners, strict=False)):
        inputs = {
            spec.name: draw_values(spec, sizes, examples, values.get(spec.name), manner, rng)
            for spec in signature.inputs
        }
        place = ", ".join(f"{name}={size}" for name, size in sizes.items()) or "fixed shapes"
        yield Case(f"drawn-{index}", inputs, f"{manner} values, {place}, seed {seed}")


def far_cases(cases: Sequence[Case], precision: str) -> dict[str, str]:
    """The cases that are no measure of a precision: values far from the example's.

    Probes leave the example's range to find what was baked in, by a thousandfold; float16 ends at
    65504, and 8 bits end where the calibration data did, which says nothing about the model. Nor do
    zeros and other signs in 8 bits, whose steps are chosen by those data.

    Args:
        cases: The cases; the one named `EXAMPLE` is the measure, and without it nothing is far.
        precision: The precision of the target's arithmetic.

    Returns:
        What is far, by the case's name.
    """
    factor = _FARTHEST.get(precision)
    example = next((case for case in cases if case.name == EXAMPLE), None)
    if factor is None or example is None:
        return {}
    far: dict[str, str] = {}
    for case in cases:
        for name, array in case.inputs.items():
            why = _why_far(array, example.inputs.get(name, array), precision, factor)
            if why:
                far[case.name] = (
                    f"{case.name} ({case.origin}): {name!r} is {why} the example's, which is no "
                    f"measure of {precision}"
                )
    return far


def is_far(case: Case, example: Case) -> bool:
    """Whether some input has values several times larger than the example's."""
    return any(
        _magnitude(array) > _USUAL * _magnitude(example.inputs.get(name, array))
        for name, array in case.inputs.items()
    )


def _why_far(array: Array, example: Array, precision: str, factor: float) -> str:
    if _magnitude(array) > factor * _magnitude(example):
        return f"more than {factor:g} times"
    if precision not in _SCALED:
        return ""
    if _magnitude(array) < _LEAST * _magnitude(example):
        return f"less than {_LEAST:g} times"
    for sign in (1, -1):
        if _reach(array, sign) > factor * _reach(example, sign):
            return "of another sign than"
    return ""


def _reach(array: Array, sign: int) -> float:
    """How far values go above zero, or below it."""
    if array.dtype.kind != "f":
        return 0.0
    return max(0.0, float((sign * array[np.isfinite(array)]).max(initial=0.0)))


def _magnitude(array: Array) -> float:
    if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
        return 0.0
    finite = array[np.isfinite(array)]
    return float(np.abs(finite).max(initial=0.0))


def _dim(signature: Signature, name: str) -> Dim:
    return signature.dims.get(name, Dim(name))


def example_sizes(signature: Signature, examples: Mapping[str, Array]) -> dict[str, int]:
    """The example's size of every dynamic dimension, by name; a small one without an example."""
    sizes: dict[str, int] = {}
    for spec in signature.inputs:
        for axis, wanted in enumerate(spec.shape or ()):
            if isinstance(wanted, str) and wanted not in sizes:
                dim = _dim(signature, wanted)
                example = examples.get(spec.name)
                size = _UNKNOWN_SIZE if example is None else example.shape[axis]
                sizes[wanted] = dim.nearest(size)
    return sizes


def _other_than(
    base: dict[str, int], plans: Iterator[dict[str, int]], signature: Signature
) -> Iterator[dict[str, int]]:
    """Leaves out the example's own sizes, where there are others."""
    dims = [_dim(signature, name) for name in base]
    if all(dim.min == dim.max for dim in dims):
        return plans
    return (sizes for sizes in plans if sizes != base)


def _draw_sizes(
    signature: Signature, base: dict[str, int], rng: np.random.Generator
) -> Iterator[dict[str, int]]:
    dims = {name: _dim(signature, name) for name in base}
    budget = 4 * signature.count_elements(base) + 1024
    if not base:
        yield from itertools.repeat({})
    yield {name: dim.min or dim.nearest(1) for name, dim in dims.items()}
    for name, dim in dims.items():
        yield base | {name: _prime_near(base[name], dim)}
    for name, dim in dims.items():
        if dim.max is not None:
            yield _within(base | {name: dim.max}, name, dims, signature, budget)
    if len(dims) > 1:
        yield from _corners(base, dims, signature, budget)
    while True:
        sizes = {
            name: dim.nearest(int(rng.integers(dim.min, _upper(dim, base[name]) + 1)))
            for name, dim in dims.items()
        }
        yield _within(sizes, "", dims, signature, budget)


def _corners(
    base: dict[str, int], dims: Mapping[str, Dim], signature: Signature, budget: int
) -> Iterator[dict[str, int]]:
    """Each dimension at its smallest while the others stay, and all at their largest."""
    for name, dim in dims.items():
        yield base | {name: dim.min or dim.nearest(1)}
    largest = {name: _upper(dim, base[name]) for name, dim in dims.items()}
    yield _within(largest, "", dims, signature, budget)


def _upper(dim: Dim, example: int) -> int:
    return dim.nearest(max(2 * example, example + 3 * dim.multiple))


def _prime_near(size: int, dim: Dim) -> int:
    allowed = [prime for prime in _PRIMES if prime in dim and prime != size]
    if not allowed:
        return dim.nearest(size + dim.multiple)
    return min(allowed, key=lambda prime: abs(prime - size))


def _within(
    sizes: dict[str, int],
    keep: str,
    dims: Mapping[str, Dim],
    signature: Signature,
    budget: int,
) -> dict[str, int]:
    """Halves dimensions, the largest first, until the case is small enough."""
    sizes = dict(sizes)
    while signature.count_elements(sizes) > budget:
        movable = [name for name in sizes if name != keep and sizes[name] > max(1, dims[name].min)]
        if not movable:
            break
        largest = max(movable, key=lambda name: sizes[name])
        sizes[largest] = max(dims[largest].nearest(sizes[largest] // 2), 1)
    return sizes


def draw_values(
    spec: TensorSpec,
    sizes: Mapping[str, int],
    examples: Mapping[str, Array],
    rule: ValueRule | None,
    manner: str,
    rng: np.random.Generator,
) -> Array:
    """Draws the values of one input.

    Args:
        spec: The input.
        sizes: Sizes of the dynamic dimensions.
        examples: Example arrays by input name.
        rule: The recipe's rule for this input, which goes before `manner`.
        manner: ``resampled`` (the example's own values, none exactly twice), ``normal`` (of its
            mean and deviation), ``negated``, ``small`` (a hundredth), ``large`` (tenfold),
            ``positive`` and ``negative`` (of one sign), ``huge`` (a positive thousandfold),
            ``zeros`` and ``constant`` (one other value throughout). For integers ``stepped`` (just
            beyond the example's range), ``zeros`` and ``constant`` (the example's largest), else
            its range; for booleans ``zeros`` (false) and ``constant`` (true), else any.
        rng: The source of chance.

    Returns:
        An array of the input's dtype.
    """
    shape = spec.shape_at(sizes)
    if rule is not None:
        drawn = _by_rule(spec, shape, rule, rng)
    else:
        drawn = _by_manner(spec, shape, examples, manner, rng)
    # Of rank 0, NumPy makes scalars, which no engine takes.
    return np.asarray(drawn)


def _by_manner(
    spec: TensorSpec,
    shape: tuple[int, ...],
    examples: Mapping[str, Array],
    manner: str,
    rng: np.random.Generator,
) -> Any:
    dtype = numpy_dtype(spec.dtype)
    example = examples.get(spec.name)
    if manner == "zeros" and dtype.kind not in "UO":
        return np.zeros(shape, dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5 if manner != "constant" else np.ones(shape, dtype)
    if dtype.kind in "iu":
        low, high = (0, 1) if example is None or not example.size else _range(example)
        if manner == "stepped":
            low, high = high + 1, high + 2
        elif manner == "constant":
            low = high
        return rng.integers(low, high, size=shape, endpoint=True).astype(dtype)
    if dtype.kind in "UO":
        pool = np.array(["", "text"]) if example is None else example.ravel()
        return rng.choice(pool, size=shape)
    return _draw_floats(shape, dtype, example, manner, rng)


def _draw_floats(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    example: Array | None,
    manner: str,
    rng: np.random.Generator,
) -> Array:
    if example is None or not example.size:
        drawn = rng.standard_normal(shape)
    else:
        pool = example.astype(np.float64)
        finite = pool[np.isfinite(pool)]
        if not finite.size:
            return rng.choice(pool.ravel(), size=shape).astype(dtype)
        drawn = _draw_finite(shape, finite, manner, rng)
        if finite.size < pool.size:
            drawn = _with_specials(drawn, pool, rng)
    return np.asarray(drawn).astype(dtype)


def _draw_finite(
    shape: tuple[int, ...], pool: Array, manner: str, rng: np.random.Generator
) -> Array:
    spread = float(pool.std() or abs(pool.mean()) or 1.0)
    if manner == "normal":
        return rng.normal(pool.mean(), spread, shape)
    # Exact ties are resolved differently by every runtime (top-k, sorting).
    drawn = rng.choice(pool, size=shape) + rng.normal(0.0, 0.01 * spread, shape)
    return np.asarray(_in_manner(drawn, manner, spread))


def _with_specials(drawn: Array, pool: Array, rng: np.random.Generator) -> Array:
    """Puts an example's infinities and NaN among drawn values: where they were, or as often.

    Of a mask (0 and -inf) the places say what is masked, so that they stay in an array of the
    example's shape.
    """
    special = ~np.isfinite(pool)
    if drawn.shape == pool.shape:
        return np.where(special, pool, drawn)
    chosen = rng.random(drawn.shape) < special.mean()
    return np.where(chosen, rng.choice(pool[special], size=drawn.shape), drawn)


def _in_manner(drawn: Array, manner: str, spread: float) -> Array:
    if manner == "constant":
        return np.full_like(drawn, spread)
    if manner in ("positive", "negative", "huge"):
        factor = {"positive": 1.0, "negative": -1.0, "huge": 1000.0}[manner]
        return np.asarray(factor * np.abs(drawn))
    return drawn * _FACTORS.get(manner, 1.0)


def _by_rule(
    spec: TensorSpec, shape: tuple[int, ...], rule: ValueRule, rng: np.random.Generator
) -> Any:
    dtype = numpy_dtype(spec.dtype)
    if callable(rule):
        drawn = np.asarray(rule(rng, shape))
        if drawn.shape != shape:
            raise UsageError(
                f"the rule for values of {spec.name!r} gave shape {list(drawn.shape)}, "
                f"asked for {list(shape)}"
            )
        return drawn.astype(dtype)
    low, high = rule
    if dtype.kind in "iub":
        return rng.integers(int(low), int(high), size=shape, endpoint=True).astype(dtype)
    return rng.uniform(low, high, shape).astype(dtype)


def _range(example: Array) -> tuple[int, int]:
    return int(example.min()), int(example.max())


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The dtype of a name, bfloat16 included."""
    if name == "bfloat16":
        import ml_dtypes

        dtype: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return dtype
    return np.dtype(name)
