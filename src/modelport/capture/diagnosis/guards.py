"""What torch.export assumed about sizes, as findings with sizes that break the assumption."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from modelport.capture.torch_private import programs
from modelport.findings import Finding, Severity
from modelport.signature import Dim, Signature

if TYPE_CHECKING:
    import torch

_SEARCHED = 40
_WANTED = 2


def broken_guards(
    program: torch.export.ExportedProgram, signature: Signature, symbols: Mapping[str, str]
) -> list[tuple[Finding, list[dict[str, int]]]]:
    """Assumptions that sizes inside the declared ranges break.

    torch.export drops its assumptions from the graph, so that the graph takes such sizes and
    computes something else.

    Args:
        program: The exported program.
        signature: The original's inputs with declared dimensions.
        symbols: Names of dimensions by torch's symbols.

    Returns:
        Findings, each with sizes of dimensions that break it.
    """
    found = []
    for expression, place in programs.shape_guards(program):
        named = _named(expression, symbols)
        if named is None:
            continue
        text, dims = named
        sizes = list(itertools.islice(_breaking(expression, dims, signature), _WANTED))
        if sizes:
            found.append((_finding(expression, text, place), sizes))
    return found + _narrowed_ranges(program, signature, symbols)


def _named(expression: Any, symbols: Mapping[str, str]) -> tuple[str, dict[str, str]] | None:
    """The expression in the user's names, and its dimensions by symbol; None for others."""
    free = sorted(str(symbol) for symbol in expression.free_symbols)
    if not free or any(symbol not in symbols for symbol in free):
        return None
    import sympy

    renamed = expression.xreplace(
        {symbol: sympy.Symbol(symbols[str(symbol)]) for symbol in expression.free_symbols}
    )
    return str(renamed), {symbol: symbols[symbol] for symbol in free}


def _breaking(
    expression: Any, dims: Mapping[str, str], signature: Signature
) -> Iterator[dict[str, int]]:
    """Sizes inside the ranges for which the expression is false: one dimension moved, then all."""
    symbols = {str(symbol): symbol for symbol in expression.free_symbols}
    ranges = {name: _search_range(signature.dims.get(dim, Dim(dim))) for name, dim in dims.items()}
    for offset in range(_SEARCHED):
        sizes = {name: candidates[offset % len(candidates)] for name, candidates in ranges.items()}
        if len(sizes) > 1:
            # Different steps, so that the dimensions do not stay equal.
            sizes = {
                name: ranges[name][(offset * (index + 1)) % len(ranges[name])]
                for index, name in enumerate(ranges)
            }
        value = expression.subs({symbols[name]: size for name, size in sizes.items()})
        if value == False:  # noqa: E712 - a sympy boolean
            yield {dims[name]: size for name, size in sizes.items()}


def _search_range(dim: Dim) -> list[int]:
    last = dim.min + _SEARCHED if dim.max is None else min(dim.max, dim.min + _SEARCHED)
    sizes = list(range(dim.min, last + 1))
    if dim.max is not None and dim.max not in sizes:
        sizes.append(dim.max)
    return sizes


def _finding(expression: Any, text: str, place: str) -> Finding:
    if type(expression).__name__ == "Equality":
        return Finding(
            "shape-baked",
            Severity.WARNING,
            f"the graph assumes {text}: a size was computed in Python and frozen",
            where=place,
            fix="compute sizes with integer arithmetic (// instead of int(... * 0.5)), or declare "
            "the range in which the assumption holds",
        )
    return _branch(text, place)


def _branch(text: str, place: str) -> Finding:
    return Finding(
        "branch-on-shape",
        Severity.WARNING,
        f"the graph assumes {text}: a comparison of sizes was decided once and for all",
        where=place,
        fix="use torch.cond or torch.where, or declare the range in which it holds with "
        "modelport.Dim(name, min=..., max=...)",
    )


def _narrowed_ranges(
    program: torch.export.ExportedProgram, signature: Signature, symbols: Mapping[str, str]
) -> list[tuple[Finding, list[dict[str, int]]]]:
    """Ranges that torch.export made narrower than they were declared."""
    found = []
    for symbol, bounds in program.range_constraints.items():
        name = symbols.get(str(symbol))
        if name is None:
            continue
        dim = signature.dims.get(name, Dim(name))
        lower, upper = _finite(bounds.lower, 0), _finite(bounds.upper, None)
        sizes = []
        if lower is not None and lower > dim.min:
            sizes.append({name: lower - 1})
        if upper is not None and (dim.max is None or upper < dim.max):
            sizes.append({name: upper + 1})
        if sizes:
            text = f"{lower} <= {name}" + ("" if upper is None else f" <= {upper}")
            found.append((_branch(text, ""), sizes))
    return found


def _finite(bound: Any, otherwise: int | None) -> int | None:
    # torch writes "no bound" as an infinity of its own, or as its largest integer.
    try:
        number = int(bound)
    except (OverflowError, TypeError, ValueError, AttributeError):
        return otherwise
    return number if abs(number) < 2**31 else otherwise
