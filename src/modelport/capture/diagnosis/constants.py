"""Values that a graph computes from constants alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from modelport.arrays import Array
from modelport.ir.constants import tensor_of

if TYPE_CHECKING:
    import onnx_ir


_FOLDED: Mapping[str, Callable[..., Any]] = {
    "Add": np.add,
    "Equal": np.equal,
    "Mul": np.multiply,
    "Sub": np.subtract,
    "Where": np.where,
}
"""What exporters leave between a size in the source and the operator that takes it."""


def constant_of(value: onnx_ir.Value | None) -> Array | None:
    """The array that a value always is; None where it is computed from an input.

    Args:
        value: An initializer, or the output of a Constant or of arithmetic on such.
    """
    if value is None:
        return None
    # Each value is looked at once, and without recursion: sums can stand in a row of thousands.
    known: dict[onnx_ir.Value, Array | None] = {}
    waiting = [value]
    while waiting:
        current = waiting[-1]
        arguments = _arguments(current)
        if any(argument in known and known[argument] is None for argument in arguments):
            known[current] = None
        elif pending := [argument for argument in arguments if argument not in known]:
            waiting.append(pending[0])
            continue
        else:
            known[current] = _compute(current, [known[argument] for argument in arguments])
        waiting.pop()
    return known[value]


def _arguments(value: onnx_ir.Value) -> list[onnx_ir.Value]:
    """What has to be constant for a value to be so."""
    node = value.producer()
    if value.const_value is not None or node is None or not _is_folded(node):
        return []
    return [argument for argument in node.inputs if argument is not None]


def _is_folded(node: onnx_ir.Node) -> bool:
    return not node.domain and (node.op_type == "ConstantOfShape" or node.op_type in _FOLDED)


def _compute(value: onnx_ir.Value, arguments: list[Any]) -> Array | None:
    tensor = tensor_of(value, default=True)
    if tensor is not None:
        return tensor.numpy()
    node = value.producer()
    if node is None or node.domain:
        return None
    if node.op_type == "ConstantOfShape":
        filling = node.attributes.get("value")
        number = 0.0 if filling is None else filling.as_tensor().numpy().item()
        return np.full([int(size) for size in arguments[0]], number)
    return np.asarray(_FOLDED[node.op_type](*arguments)) if _is_folded(node) else None


def integers_of(value: onnx_ir.Value | None) -> list[int] | None:
    """The same as whole numbers in one list."""
    array = constant_of(value)
    return None if array is None else [int(number) for number in array.ravel()]
