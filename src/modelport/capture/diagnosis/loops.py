"""Python loops over a tensor that capturing unrolled."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from modelport.capture.diagnosis.constants import integers_of
from modelport.findings import Finding, Severity
from modelport.graph.location import source_place

if TYPE_CHECKING:
    import onnx_ir

    from modelport.signature import Signature

KEEP_LOOP = (
    "write it as tensor operations; or with `torch._higher_order_ops.scan`, for dynamo, in a "
    "rewrite of the function that has the loop (docs/capture.md); or capture by script"
)
"""The way out of a loop that was unrolled."""

_FEWEST = 2


def unrolled_loops(ir: onnx_ir.Model, signature: Signature) -> list[tuple[Finding, str]]:
    """Dimensions that are taken apart element by element, as an unrolled loop does.

    Args:
        ir: The graph.
        signature: The original's inputs with declared dimensions.

    Returns:
        Findings, each with the dimension whose length was unrolled.
    """
    taken: dict[tuple[str, int], dict[int, onnx_ir.Node]] = defaultdict(dict)
    for node in ir.graph:
        place = _element_taken(node)
        if place is not None:
            name, axis, index = place
            taken[name, axis][index] = node
    shapes = {spec.name: spec.shape for spec in signature.inputs}
    found = []
    for (name, axis), nodes in taken.items():
        shape = shapes.get(name)
        if shape is None or sorted(nodes) != list(range(len(nodes))) or len(nodes) < _FEWEST:
            continue
        dim = shape[axis]
        if isinstance(dim, str):
            found.append((_finding(name, dim, nodes), dim))
    return found


def _element_taken(node: onnx_ir.Node) -> tuple[str, int, int] | None:
    """``(input, axis, index)`` of a Gather or Slice that takes one constant position."""
    value = node.inputs[0] if node.inputs else None
    if value is None or value.name is None or value.producer() is not None:
        return None
    if node.op_type == "Gather" and (position := _constant(node.inputs[1])) is not None:
        return value.name, node.attributes.get_int("axis", 0), position
    if node.op_type == "Slice" and len(node.inputs) > 3:
        start, end, axis = map(_constant, node.inputs[1:4])
        if start is not None and end == start + 1 and axis is not None:
            return value.name, axis, start
    return None


def _constant(value: onnx_ir.Value | None) -> int | None:
    numbers = integers_of(value)
    return numbers[0] if numbers is not None and len(numbers) == 1 else None


def _finding(name: str, dim: str, nodes: dict[int, onnx_ir.Node]) -> Finding:
    return Finding(
        "loop-unrolled",
        Severity.WARNING,
        f"a loop over {name!r} was unrolled {len(nodes)} times, its example's length, but "
        f"{dim!r} is declared dynamic",
        where=source_place(nodes[0]),
        fix=KEEP_LOOP,
    )
