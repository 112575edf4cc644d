"""Names of dynamic dimensions in a captured graph."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelport.capture.dynamic import DynamicDims, intersection
from modelport.capture.inputs import BoundInputs
from modelport.findings import Finding, Severity
from modelport.signature import Dim

if TYPE_CHECKING:
    import onnx_ir


@dataclass(frozen=True)
class NamedDims:
    """Dynamic dimensions of a captured graph.

    Attributes:
        ranges: Their ranges, by name.
        symbols: Their names, by the symbol that the exporter gave them; one that stands for
            sizes that differ in the example is left out.
    """

    ranges: dict[str, Dim]
    symbols: dict[str, str]


def name_dims(
    ir: onnx_ir.Model, dims: DynamicDims, bound: BoundInputs, findings: list[Finding]
) -> NamedDims:
    """Gives the graph's symbols the declared names.

    Args:
        ir: The graph, changed in place.
        dims: The declared dimensions.
        bound: The example inputs.
        findings: What is noticed is appended here.

    Returns:
        The dimensions that are dynamic in the graph.
    """
    inputs = {value.name: value for value in ir.graph.inputs if value.name is not None}
    shapes = {name: tensor.shape for name, tensor in bound.tensors.items()}
    symbols: dict[str, str] = {}
    ranges: dict[str, Dim] = {}
    for symbol, places in _places_of_symbols(inputs, dims).items():
        if len({shapes[name][axis] for name, axis, _ in places}) > 1:
            # torch took sizes for equal that broadcast: the example itself shows the contrary.
            _forget_symbol(ir, symbol)
            for name, axis, dim in places:
                _set_dim(inputs[name], axis, dim.name)
                ranges[dim.name] = dim
            continue
        for name, axis, dim in places:
            known = symbols.setdefault(symbol, dim.name)
            if known != dim.name:
                findings.append(_equal(dim.name, known, f"{name}[{axis}]"))
            ranges[known] = intersection(ranges.get(known, Dim(known, dim.min)), dim)
    _rename_dims(ir, symbols)
    return NamedDims(ranges, symbols)


def _places_of_symbols(
    inputs: Mapping[str, onnx_ir.Value], dims: DynamicDims
) -> dict[str, list[tuple[str, int, Dim]]]:
    """Inputs and axes, with their declared dimensions, by the symbol that the exporter gave."""
    places: dict[str, list[tuple[str, int, Dim]]] = defaultdict(list)
    for name, axes in dims.items():
        shape = inputs[name].shape if name in inputs else None
        for axis, dim in axes.items():
            size = None if shape is None else shape[axis]
            if size is not None and not isinstance(size, int):
                places[str(size.value)].append((name, axis, dim))
    return places


def _forget_symbol(ir: onnx_ir.Model, symbol: str) -> None:
    pattern = re.compile(rf"\b{re.escape(symbol)}\b")
    _forget_dims(ir, lambda name: pattern.search(name) is not None)


def _set_dim(value: onnx_ir.Value, axis: int, name: str) -> None:
    import onnx_ir

    assert value.shape is not None
    dims = list(value.shape)
    dims[axis] = onnx_ir.SymbolicDim(name)
    value.shape = onnx_ir.Shape(dims)


def _equal(name: str, known: str, place: str) -> Finding:
    return Finding(
        "dynamic-dims-equal",
        Severity.NOTE,
        f"{name!r} must equal {known!r} for the model to run; both are called {known!r}",
        where=place,
    )


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
    declared = {dim.name for axes in dims.values() for dim in axes.values()}
    _forget_dims(ir, lambda name: name not in declared)


def _forget_dims(ir: onnx_ir.Model, forgotten: Callable[[str], bool]) -> None:
    """Takes names of dimensions out of all shapes; in outputs ``OUTPUT_AXIS`` replaces them."""
    import onnx_ir

    outputs = set(ir.graph.outputs)
    for value in all_values(ir):
        if value.shape is None or value.shape.is_static():
            continue
        value.shape = onnx_ir.Shape(
            dim
            if isinstance(dim, int) or (dim.value is not None and not forgotten(dim.value))
            else (f"{value.name}_{axis}" if value in outputs else None)
            for axis, dim in enumerate(value.shape)
        )


def separate_outputs(ir: onnx_ir.Model, names: Sequence[str] | None) -> None:
    """Makes every output a value of its own, with a name of its own.

    torch calls an output that is an input by the input's name, and the TorchScript exporter lists
    a tensor that is returned twice under one name.

    Args:
        ir: The graph, changed in place.
        names: The names that were asked for.
    """
    import onnx_ir

    graph = ir.graph
    taken = {value.name for value in (*graph.initializers.values(), *all_values(ir))}
    inputs = {value.name for value in graph.inputs}
    for index, output in enumerate(graph.outputs):
        if output in graph.outputs[:index] or output.is_graph_input():
            node = onnx_ir.node("Identity", [output])
            graph.append(node)
            copied = node.outputs[0]
            copied.type, copied.shape = output.type, output.shape
            graph.outputs[index] = copied
            copied.name = _free_name(output.name, taken)
        elif output.name in inputs:
            output.name = _free_name(output.name, taken)
    for output, name in zip(graph.outputs, names or (), strict=False):
        if output.name != name:
            output.name = name


def _free_name(base: str | None, taken: set[str | None]) -> str:
    name = next(
        name
        for name in (f"{base}_output{number or ''}" for number in itertools.count())
        if name not in taken
    )
    taken.add(name)
    return name
