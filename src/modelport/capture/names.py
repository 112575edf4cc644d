"""Names of dynamic dimensions in a captured graph."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelport.capture.dynamic import DynamicDims
from modelport.findings import Finding, Severity
from modelport.signature import Dim

if TYPE_CHECKING:
    import onnx_ir


@dataclass(frozen=True)
class NamedDims:
    """Dynamic dimensions of a captured graph.

    Attributes:
        ranges: Their ranges, by name.
        symbols: Their names, by the symbol that the exporter gave them.
    """

    ranges: dict[str, Dim]
    symbols: dict[str, str]


def name_dims(ir: onnx_ir.Model, dims: DynamicDims, findings: list[Finding]) -> NamedDims:
    """Gives the graph's symbols the declared names.

    Args:
        ir: The graph, changed in place.
        dims: The declared dimensions.
        findings: What is noticed is appended here.

    Returns:
        The dimensions that are dynamic in the graph.
    """
    inputs = {value.name: value for value in ir.graph.inputs}
    symbols: dict[str, str] = {}
    ranges: dict[str, Dim] = {}
    for input_name, axes in dims.items():
        value = inputs.get(input_name)
        for axis, dim in axes.items():
            size = None if value is None or value.shape is None else value.shape[axis]
            if size is None or isinstance(size, int):
                continue
            known = symbols.setdefault(str(size.value), dim.name)
            if known != dim.name:
                findings.append(_equal(dim.name, known, f"{input_name}[{axis}]"))
            ranges[known] = _intersection(ranges.get(known), Dim(known, dim.min, dim.max))
    _rename_dims(ir, symbols)
    return NamedDims(ranges, symbols)


def _equal(name: str, known: str, place: str) -> Finding:
    return Finding(
        "dynamic-dims-equal",
        Severity.NOTE,
        f"{name!r} must equal {known!r} for the model to run; both are called {known!r}",
        where=place,
    )


def _intersection(first: Dim | None, second: Dim) -> Dim:
    if first is None:
        return second
    bounds = [bound for bound in (first.max, second.max) if bound is not None]
    return Dim(first.name, max(first.min, second.min), min(bounds, default=None))


def _rename_dims(ir: onnx_ir.Model, names: Mapping[str, str]) -> None:
    import onnx_ir

    if not names:
        return
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, names)) + r")\b")
    for value in all_values(ir):
        if value.shape is None or value.shape.is_static():
            continue
        value.shape = onnx_ir.Shape(
            dim if isinstance(dim, int) or dim.value is None else _rename(dim.value, pattern, names)
            for dim in value.shape
        )


def _rename(expression: str, pattern: re.Pattern[str], names: Mapping[str, str]) -> str:
    renamed = pattern.sub(lambda match: names[match.group(1)], expression)
    # What torch writes for `int(3.0 * size)`.
    return re.sub(r"TruncToInt\((\d+)\.0\*ToFloat\((\w+)\)\)", r"\1*\2", renamed)


def all_values(ir: onnx_ir.Model) -> list[onnx_ir.Value]:
    """Inputs, outputs and node outputs of the graph and its subgraphs."""
    graphs = [ir.graph, *ir.graph.subgraphs()]
    values = [value for graph in graphs for value in (*graph.inputs, *graph.outputs)]
    values += [value for node in ir.graph.all_nodes() for value in node.outputs]
    return list(dict.fromkeys(values))


def drop_invented_names(ir: onnx_ir.Model, dims: DynamicDims) -> None:
    """Removes dimension names that the TorchScript exporter made up.

    It gives one invented name to dimensions that differ, so that they say nothing. Names in
    outputs are replaced by ``OUTPUT_AXIS``.
    """
    import onnx_ir

    declared = {dim.name for axes in dims.values() for dim in axes.values()}
    outputs = set(ir.graph.outputs)
    for value in all_values(ir):
        if value.shape is None or value.shape.is_static():
            continue
        value.shape = onnx_ir.Shape(
            dim
            if isinstance(dim, int) or dim.value in declared
            else (f"{value.name}_{axis}" if value in outputs else None)
            for axis, dim in enumerate(value.shape)
        )
