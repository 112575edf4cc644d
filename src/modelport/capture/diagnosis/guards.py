"""What torch.export assumed about sizes, as suspicions with sizes that break the assumption."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelport.capture.torch_private import programs
from modelport.capture.torch_private.programs import GuardPlace
from modelport.findings import Finding, Severity
from modelport.signature import Dim, Signature

if TYPE_CHECKING:
    import torch

_SEARCHED = 40
_WANTED = 2

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
    """

    finding: Finding
    sizes: tuple[Sizes, ...]
    is_broken_by: Callable[[Sizes], bool]
    is_users: bool


def broken_guards(
    program: torch.export.ExportedProgram,
    signature: Signature,
    symbols: Mapping[str, str],
    watched: Sequence[GuardPlace],
) -> list[BrokenGuard]:
    """Assumptions that sizes inside the declared ranges break, one a place and rule.

    Args:
        program: The exported program.
        signature: The original's inputs with declared dimensions.
        symbols: Names of dimensions by torch's symbols.
        watched: Where assumptions were made, as `programs.watching_guards` saw it.
    """
    found: dict[tuple[str, str], BrokenGuard] = {}
    guards = [
        *_assumed(programs.shape_guards(program), signature, symbols),
        *_narrowed(program, signature, symbols),
    ]
    for expression, text, sizes, is_broken_by in guards:
        made = _made_at(expression, sizes[0], symbols, watched)
        place, is_users = made.place, made.is_users
        finding = _finding(text, place, made.is_conversion)
        first = found.setdefault(
            (finding.rule, place or text), BrokenGuard(finding, sizes, is_broken_by, is_users)
        )
        if first.sizes is not sizes:
            found[finding.rule, place or text] = _merged(first, sizes, is_broken_by)
    return list(found.values())


def _merged(
    first: BrokenGuard, sizes: tuple[Sizes, ...], is_broken_by: Callable[[Sizes], bool]
) -> BrokenGuard:
    return dataclasses.replace(
        first,
        sizes=(*first.sizes, *sizes),
        is_broken_by=lambda tried: first.is_broken_by(tried) or is_broken_by(tried),
    )


Guard = tuple[Any, str, tuple[Sizes, ...], Callable[[Sizes], bool]]
"""The expression (None for a range), its text, sizes that break it, and whether sizes do."""


def _assumed(
    expressions: Sequence[Any], signature: Signature, symbols: Mapping[str, str]
) -> Iterator[Guard]:
    for expression in expressions:
        named = _named(expression, symbols)
        if named is None:
            continue

        def is_broken_by(sizes: Sizes, named: Any = named) -> bool:
            return _is_false(named, sizes)

        candidates = _candidates([str(symbol) for symbol in named.free_symbols], signature)
        sizes = tuple(itertools.islice(filter(is_broken_by, candidates), _WANTED))
        if sizes:
            yield expression, str(named), sizes, is_broken_by


def _named(expression: Any, symbols: Mapping[str, str]) -> Any:
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


def _is_false(expression: Any, sizes: Sizes) -> bool:
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


def _made_at(
    expression: Any, sizes: Sizes, symbols: Mapping[str, str], watched: Sequence[GuardPlace]
) -> GuardPlace:
    """Where an assumption was made, the user's own code first.

    torch simplifies assumptions afterwards: what is not found as it stands is the assumption that
    the same sizes break.
    """
    found = [item for item in watched if expression is not None and item.expression == expression]
    if not found:
        for item in watched:
            named = _named(item.expression, symbols)
            if named is not None and _is_false(named, sizes):
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
            text = f"{lower} <= {name}" + ("" if upper is None else f" <= {upper}")

            def is_broken_by(
                tried: Sizes, name: str = name, lower: int = lower, upper: int | None = upper
            ) -> bool:
                size = tried.get(name)
                return size is not None and (size < lower or (upper is not None and size > upper))

            yield None, text, tuple(sizes), is_broken_by
