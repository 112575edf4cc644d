"""Output of ``modelport ops``: tables on a terminal, aligned lines elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelport.cli.console import print_table

if TYPE_CHECKING:
    from modelport.capture.support.aten import AtenOperator
    from modelport.capture.support.table import Lowered, SupportTable
    from modelport.ops.catalog import Kernel, Match, OnnxOperator

_LONG = 4
"""The number of ONNX operators of a mapping that a table names; the rest are counted."""


def print_support(title: str, table: SupportTable) -> None:
    """Prints a model's operators, and below the table what to do about those without a mapping."""
    rows = []
    for row in table.rows:
        if not row.lowered:
            rows.append(
                [row.name, str(row.count), row.declared, "(dropped)", str(row.status), *[""] * 3]
            )
        for position, part in enumerate(row.lowered):
            first = position == 0
            rows.append(
                [
                    row.name if first else "",
                    str(row.count) if first else "",
                    row.declared if first else "",
                    part.name if part.name != row.name else "",
                    str(part.status),
                    "" if part.since is None else str(part.since),
                    part.place,
                    _written(part),
                ]
            )
    heads = ["operator", "count", "declared", "decomposed", "status", "opset", "mapping", "ONNX"]
    print_table(f"{title}: operators at opset {table.opset}", heads, rows)
    _lines("signatures", [row.signature or row.name for row in table.rows])
    for row in table.unsupported:
        used = f", first used at {row.used}" if row.used else ""
        _lines(f"{row.name} ({row.status}{used})", row.advice)
    _lines("notes", table.notes)
    count = len(table.unsupported)
    _say(
        f"{len(table.rows)} operators, {count} that cannot be exported"
        if count
        else f"{len(table.rows)} operators, all of them can be exported"
    )


def print_onnx(operator: OnnxOperator) -> None:
    """Prints an ONNX operator: its versions, then its newest signature."""
    newest = operator.versions[-1]
    state = "deprecated" if newest.deprecated else "ONNX operator"
    _say(f"{operator.qualified_name}: {state}, since opset {operator.since}")
    rows = [
        [
            f"{version.since}{'' if version.until == version.since else '-'}"
            f"{'' if version.until in (None, version.since) else version.until}",
            "yes" if version.function_body else "no",
            _kernels(version.kernels),
            "; ".join(version.changes) or "first version",
        ]
        for version in operator.versions
    ]
    print_table(
        "versions",
        ["opset", "function body", f"CPU kernel ({operator.kernel_source})", "what changed"],
        rows,
    )
    _lines("inputs", [str(parameter) for parameter in newest.inputs])
    _lines("outputs", [str(parameter) for parameter in newest.outputs])
    _lines("attributes", [str(attribute) for attribute in newest.attributes])


def print_aten(operator: AtenOperator) -> None:
    """Prints a PyTorch operator: declarations, signatures, mappings."""
    kind = "Python function" if operator.calls else "operator"
    _say(f"{operator.name}: PyTorch {kind}, {operator.status} in a new export")
    _lines("declared", [f"{d.python_name} at {d.place}: {d.text}" for d in operator.declared])
    _lines("signatures", operator.signatures)
    kernels = [
        f"{native.place}: {keys}: {kernel}"
        for native in operator.native
        for keys, kernel in native.kernels
    ]
    _lines("native functions", kernels or [native.place for native in operator.native])
    _lines(
        "kernels registered at", [f"{k}: {location}" for k, location in operator.registered.items()]
    )
    _lines("calls", operator.calls)
    rows = [
        [
            mapping.exporter,
            mapping.operator,
            str(mapping.since),
            mapping.place,
            ", ".join(map(str, mapping.onnx)),
        ]
        for mapping in operator.mappings
    ]
    if rows:
        print_table("mappings", ["exporter", "operator", "opset", "place", "ONNX, may write"], rows)
    for exporter in ("dynamo", "torchscript"):
        if not operator.mapped_by(exporter) and not operator.calls:
            _say(f"the {exporter} exporter has no mapping: {_remedy(operator, exporter)}")


def print_matches(text: str, matches: Sequence[Match], limit: int) -> None:
    """Prints the matches, and the number of those that are left out."""
    rows = [
        [
            match.name,
            "ONNX" if match.framework == "onnx" else "PyTorch",
            "" if match.since is None else str(match.since),
            match.reasons[0].text,
        ]
        for match in _balanced(matches, limit)
    ]
    if not rows:
        _say(f"nothing expresses {text!r}; try a shorter word, or a part of one")
        return
    print_table(f"operators for {text!r}", ["operator", "of", "since opset", "why"], rows)
    if len(matches) > len(rows):
        _say(f"and {len(matches) - len(rows)} more: --limit {len(matches)} or --json shows them")


def _balanced(matches: Sequence[Match], limit: int) -> list[Match]:
    """The first matches of either framework, ONNX's first, so that both are shown."""
    onnx = [match for match in matches if match.framework == "onnx"]
    pytorch = [match for match in matches if match.framework != "onnx"]
    share = max(limit - len(pytorch), (limit + 1) // 2)
    shown = onnx[:share]
    return [*shown, *pytorch[: max(0, limit - len(shown))]]


def _remedy(operator: AtenOperator, exporter: str) -> str:
    if exporter == "dynamo" and operator.decomposes:
        return "torch writes it as other operators first; `modelport ops support` shows which"
    return f'give it one with modelport.register_symbolic("{operator.name}", fn)'


def _written(part: Lowered) -> str:
    """``Mul x2 (since 1)``; constants are left out, since every operator brings some."""
    shown = [use for use in part.onnx if use.name != "Constant"] or list(part.onnx)
    texts = [
        use.name
        + (f" x{use.count}" if use.count > 1 else "")
        + (f" (since {use.since})" if use.since is not None else "")
        for use in shown
    ]
    more = f", {len(texts) - _LONG} more" if len(texts) > _LONG else ""
    return ", ".join(texts[:_LONG]) + more


def _kernels(kernels: tuple[Kernel, ...] | None) -> str:
    from modelport.ops.catalog.versions import short_types

    if kernels is None:
        return "not known"
    if not kernels:
        return "none"
    texts = [
        " ".join(f"{name}: {short_types(types)}" for name, types in kernel.types.items()) or "any"
        for kernel in kernels
    ]
    return "; ".join(texts)


def _lines(title: str, lines: Sequence[str]) -> None:
    if lines:
        _say(f"{title}:")
        for line in lines:
            _say(f"  {line}")


def _say(text: str) -> None:
    """One line without changes: brackets in signatures are not markup, long lines are not cut."""
    print(text)
