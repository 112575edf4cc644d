"""What torch.export assumed about sizes, as suspicions with sizes that break the assumption."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelport.capture.diagnosis.guard_conditions import (
    SympyExpression,
    breaking_sizes,
    condition_of,
)
from modelport.capture.diagnosis.symbolic_run import ShadowRun
from modelport.capture.torch_private import programs
from modelport.capture.torch_private.programs import GuardPlace
from modelport.findings import Finding, Severity
from modelport.signature import Dim, Signature
from modelport.size_condition import SizeCondition

if TYPE_CHECKING:
    import torch

    from modelport.capture.strategies import Capture

_SEARCHED = 40
_KEPT = 6
"""Sizes that break an assumption, of which a model may refuse some."""
_REQUIRED_OF_USERS = 3
_MOST_CONSTANTS = 8

Sizes = Mapping[str, int]


@dataclass(frozen=True)
class BrokenGuard:
    """An assumption that sizes inside the declared ranges break.

    torch.export drops its assumptions from the graph, so that the graph takes such sizes and
    computes something else.

    Attributes:
        finding: What was assumed, and where.
        sizes: Sizes that break it, a few.
        is_broken_by: Whether sizes of the dimensions break it.
        is_users: The user's code compared sizes; else a function of torch did, which often only
            chose among its kernels.
        conditions: The same as data; empty where it computes with more than whole numbers.
        required: At how many of the sizes the original is to be run; it may refuse others.
    """

    finding: Finding
    sizes: tuple[Sizes, ...]
    is_broken_by: Callable[[Sizes], bool]
    is_users: bool
    conditions: tuple[SizeCondition, ...] = ()
    required: int = 1


@dataclass(frozen=True)
class Original:
    """Inputs of the original.

    Attributes:
        signature: Its inputs with declared dimensions.
        sizes: The example's sizes by dimension.
    """

    signature: Signature
    sizes: Sizes


def broken_guards(
    captured: Capture, shadow: ShadowRun, original: Original, symbols: Mapping[str, str]
) -> list[BrokenGuard]:
    """Assumptions that sizes inside the declared ranges break, one a place and rule.

    They are those of the exported program and those that were made on the way to it; where there is
    no program, as after tracing, those of a run on symbolic sizes.

    Args:
        captured: The graph of a strategy.
        shadow: The run on symbolic sizes.
        original: The original's inputs with declared dimensions, and the example's sizes.
        symbols: Names of dimensions by torch's symbols.
    """
    found: dict[tuple[str, str], BrokenGuard] = {}
    if captured.program is None:
        symbols, watched = shadow.symbols, shadow.guards
        expressions, made_on_the_way = [], [item.expression for item in watched]
        narrowed: Iterable[Guard] = ()
    else:
        environment = programs.shape_environment(captured.program)
        watched = [item for item in captured.guard_places if item.environment is environment]
        expressions = programs.shape_guards(captured.program)
        # Some are made while functions are decomposed, which the program does not keep.
        made_on_the_way = [item.expression for item in watched]
        narrowed = _narrowed(captured.program, original.signature, symbols)
    whole = [item for item in made_on_the_way if condition_of(item, symbols) is not None]
    for guard in (*_assumed([*expressions, *whole], original, symbols), *narrowed):
        made = _made_at(guard, symbols, watched)
        finding = _finding(guard.text, made.place, made.is_conversion)
        steps = _steps(guard, original, shadow.constants) if made.is_conversion else ()
        broken = BrokenGuard(
            finding,
            (*steps, *guard.sizes[:_KEPT]),
            guard.is_broken_by,
            made.is_users,
            guard.conditions,
            required=len(steps) + (_REQUIRED_OF_USERS if made.is_users else 1),
        )
        key = finding.rule, made.place or guard.text
        found[key] = _merged(found[key], broken) if key in found else broken
    return list(found.values())


def _steps(guard: Guard, original: Original, constants: Iterable[int]) -> tuple[Sizes, ...]:
    """Sizes just beyond the constants of the code: a loop in steps of one takes another there."""
    sizes = []
    for name in sorted(guard.names):
        dim = original.signature.dims.get(name, Dim(name))
        example = original.sizes[name]
        # The example is on this side of those that are larger: what lies beyond was never tried.
        order = sorted(constants, key=lambda number: (number < example, abs(number - example)))
        for constant in order[:_MOST_CONSTANTS]:
            beyond = dim.nearest(constant + dim.multiple)
            sizes += [{name: size} for size in (beyond, dim.nearest(2 * constant + dim.multiple))]
    return tuple(item for item in sizes if guard.is_broken_by(item))


def _merged(first: BrokenGuard, other: BrokenGuard) -> BrokenGuard:
    return dataclasses.replace(
        first,
        sizes=(*first.sizes, *other.sizes),
        is_broken_by=lambda tried: first.is_broken_by(tried) or other.is_broken_by(tried),
        is_users=first.is_users or other.is_users,
        conditions=(*first.conditions, *other.conditions),
        required=max(first.required, other.required),
    )


@dataclass(frozen=True)
class Guard:
    """An assumption about sizes.

    Attributes:
        expression: As torch has it; None for a range.
        text: The same for people.
        names: The dimensions that it is about.
        sizes: Sizes that break it, the nearest to the example first; not empty.
        is_broken_by: Whether sizes of the dimensions break it.
        conditions: The same as data; empty where it computes with more than whole numbers.
    """

    expression: SympyExpression
    text: str
    names: frozenset[str]
    sizes: tuple[Sizes, ...]
    is_broken_by: Callable[[Sizes], bool]
    conditions: tuple[SizeCondition, ...] = ()


def _assumed(
    expressions: Iterable[SympyExpression], original: Original, symbols: Mapping[str, str]
) -> Iterator[Guard]:
    for expression in dict.fromkeys(expressions):
        condition = condition_of(expression, symbols)
        guard = (
            _of_condition(expression, condition, original)
            if condition is not None
            else _of_expression(expression, original, symbols)
        )
        if guard is not None:
            yield guard


def _of_condition(
    expression: SympyExpression, condition: SizeCondition, original: Original
) -> Guard | None:
    found = breaking_sizes(condition, original.signature.dims, original.sizes)
    if not found:
        return None

    def is_broken_by(sizes: Sizes) -> bool:
        return condition.holds(sizes) is False

    return Guard(
        expression, str(condition), condition.names, _spread(found), is_broken_by, (condition,)
    )


def _spread(found: Sequence[Sizes]) -> tuple[Sizes, ...]:
    """The nearest, one that is twice as large, the smallest, and the rest."""
    products = [math.prod(sizes.values()) for sizes in found]
    larger = next((i for i, product in enumerate(products) if product >= 2 * products[0]), 0)
    order = dict.fromkeys((0, larger, products.index(min(products)), *range(len(found))))
    return tuple(found[index] for index in order)


def _of_expression(
    expression: SympyExpression, original: Original, symbols: Mapping[str, str]
) -> Guard | None:
    named = _named(expression, symbols)
    if named is None:
        return None

    def is_broken_by(sizes: Sizes) -> bool:
        return _is_false(named, sizes)

    names = frozenset(str(symbol) for symbol in named.free_symbols)
    candidates = _candidates(sorted(names), original.signature)
    sizes = tuple(itertools.islice(filter(is_broken_by, candidates), _KEPT))
    return Guard(expression, str(named), names, sizes, is_broken_by) if sizes else None


def _named(expression: SympyExpression, symbols: Mapping[str, str]) -> SympyExpression:
    """The expression in the user's names; None where it has others, or none."""
    import sympy

    if any(str(symbol) not in symbols for symbol in expression.free_symbols):
        return None
    named = expression.xreplace(
        {
            symbol: sympy.Symbol(symbols[str(symbol)], integer=True)
            for symbol in expression.free_symbols
        }
    )
    return named if getattr(named, "free_symbols", None) else None


def _is_false(expression: SympyExpression, sizes: Sizes) -> bool:
    import sympy

    symbols = expression.free_symbols
    if any(str(symbol) not in sizes for symbol in symbols):
        return False
    values = {symbol: sympy.Integer(sizes[str(symbol)]) for symbol in symbols}
    try:
        # `subs` asks itself what it might simplify, for longer than the export takes.
        return bool(expression.xreplace(values) == False)  # noqa: E712 - a sympy boolean
    except ZeroDivisionError:
        # So many windows that there are none of them: it has no value at these sizes.
        return False


def _candidates(names: Sequence[str], signature: Signature) -> Iterator[dict[str, int]]:
    """Sizes inside the ranges; of several dimensions in different steps, so that they part."""
    ranges = {name: _search_range(signature.dims.get(name, Dim(name))) for name in sorted(names)}
    for offset in range(_SEARCHED):
        yield {
            name: sizes[(offset * (index + 1)) % len(sizes)]
            for index, (name, sizes) in enumerate(ranges.items())
        }


def _search_range(dim: Dim) -> list[int]:
    last = dim.min + _SEARCHED if dim.max is None else min(dim.max, dim.min + _SEARCHED)
    sizes = list(range(dim.min, last + 1, dim.multiple))
    if dim.max is not None and dim.max not in sizes:
        sizes.append(dim.max)
    return sizes


def _made_at(guard: Guard, symbols: Mapping[str, str], watched: Sequence[GuardPlace]) -> GuardPlace:
    """Where an assumption was made, the user's own code first.

    torch simplifies assumptions afterwards: what is not found as it stands is the assumption that
    the same sizes break.
    """
    expression = guard.expression
    found = [item for item in watched if expression is not None and item.expression == expression]
    if not found:
        for item in watched:
            named = _named(item.expression, symbols)
            if named is not None and _is_false(named, guard.sizes[0]):
                found.append(item)
    found.sort(key=lambda item: not item.is_users)
    return found[0] if found else GuardPlace(expression, "", False, False)


def _finding(text: str, place: str, is_conversion: bool) -> Finding:
    if is_conversion:
        return Finding(
            "shape-baked",
            Severity.WARNING,
            f"the graph assumes {text}: a size was computed in Python and frozen",
            where=place,
            fix="compute sizes with integer arithmetic (// instead of int(... * 0.5)), or declare "
            "the range in which the assumption holds",
        )
    return Finding(
        "branch-on-shape",
        Severity.WARNING,
        f"the graph assumes {text}: a comparison of sizes was decided once and for all",
        where=place,
        fix="use torch.cond or torch.where, or declare the range in which it holds with "
        "modelport.Dim(name, min=..., max=..., multiple=...)",
    )


def _narrowed(
    program: torch.export.ExportedProgram, signature: Signature, symbols: Mapping[str, str]
) -> Iterator[Guard]:
    """Ranges that torch.export made narrower than they were declared."""
    for symbol, (lower, upper) in programs.symbol_ranges(program).items():
        name = symbols.get(symbol)
        if name is None:
            continue
        dim = signature.dims.get(name, Dim(name))
        sizes = []
        if lower > dim.min:
            sizes.append({name: dim.nearest(lower - 1)})
        if upper is not None and (dim.max is None or upper < dim.max):
            sizes.append({name: dim.nearest(upper + dim.multiple)})
        if sizes:
            conditions = [SizeCondition(">=", name, lower)] if lower > dim.min else []
            if upper is not None:
                conditions.append(SizeCondition("<=", name, upper))
            text = f"{lower} <= {name}" + ("" if upper is None else f" <= {upper}")

            def is_broken_by(
                tried: Sizes, conditions: Sequence[SizeCondition] = tuple(conditions)
            ) -> bool:
                return any(condition.holds(tried) is False for condition in conditions)

            names = frozenset({name})
            yield Guard(None, text, names, tuple(sizes), is_broken_by, tuple(conditions))
