"""The C++ files that tie kernels to runtimes, from templates."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelport.ops.declaration import Operator
from modelport.ops.schema import Attribute
from modelport.ops.templates import render

_KINDS = {
    "int": "integer",
    "float": "real",
    "bool": "boolean",
    "str": "string",
    "list[int]": "integers",
    "list[float]": "reals",
    "list[str]": "strings",
}
_ELEMENTS = {"list[int]": "int64_t", "list[float]": "double", "list[str]": "std::string_view"}
# The member of the C++ struct Attribute that a kind is kept in, and its place there.
_MEMBERS = ("int", "float", "str", "list[int]", "list[float]", "list[str]")


@dataclass(frozen=True)
class Table:
    """The kernels of one operator, for one device and level, in one object file.

    Attributes:
        operator: The operator's place in the library.
        device: ``cpu`` or ``cuda``.
        level: The level of the processor that the code needs.
        symbol: The C symbol of the table.
    """

    operator: int
    device: str
    level: int
    symbol: str


def kernel_source(
    operator: Operator, source: Path, symbol: str, without: Collection[str] = ()
) -> str:
    """The file that includes an author's kernels and lists them.

    Args:
        operator: The operator.
        source: The author's file.
        symbol: The C symbol of the table.
        without: Element types that no instance is made for.
    """
    return render(
        "kernel_table.cpp.jinja",
        operator=operator,
        source=source,
        instances=operator.instances(without),
        symbol=symbol,
    )


def library_source(
    domain: str, operators: Sequence[Operator], tables: Sequence[Table], level: int
) -> str:
    """The file that describes the operators of a library."""
    return render(
        "library.cpp.jinja",
        domain=domain,
        operators=list(map(_describe, operators)),
        tables=tables,
        level=level,
    )


def _describe(operator: Operator) -> dict[str, Any]:
    schema = operator.schema
    inputs = [item.name for item in schema.inputs]
    attributes = [item.name for item in schema.attributes]
    places = [
        {"is_attribute": "false", "index": inputs.index(name)}
        if name in inputs
        else {"is_attribute": "true", "index": attributes.index(name)}
        for name in operator.node_inputs
    ]
    return {
        "name": schema.name,
        "inputs": inputs,
        "outputs": schema.outputs,
        "attributes": list(map(_describe_attribute, schema.attributes)),
        "node_inputs": places,
    }


def _describe_attribute(attribute: Attribute) -> dict[str, Any]:
    values = []
    if attribute.kind in _ELEMENTS and not attribute.required:
        values = [literal(value) for value in attribute.default]
    return {
        "name": attribute.name,
        "kind": _KINDS[attribute.kind],
        "required": "true" if attribute.required else "false",
        "element": _ELEMENTS.get(attribute.kind, ""),
        "elements": values,
        "default": "" if attribute.required else _default(attribute, len(values)),
    }


def _default(attribute: Attribute, count: int) -> str:
    members = ["0", "0.0", '""', "{}", "{}", "{}"]
    place = _MEMBERS.index("int" if attribute.kind == "bool" else attribute.kind)
    if attribute.kind in _ELEMENTS:
        members[place] = f"{{values_INDEX_{attribute.name}, {count}}}" if count else "{}"
    else:
        members[place] = literal(attribute.default)
    return ", ".join(members)


def literal(value: Any) -> str:
    """A text or a number as C++ has it."""
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, float):
        return {"inf": "INFINITY", "-inf": "-INFINITY", "nan": "NAN"}.get(repr(value), repr(value))
    return str(int(value))
