"""Values that a graph computes from constants alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx_ir

Array = np.ndarray[Any, Any]

_FOLDED: Mapping[str, Callable[..., Any]] = {
    "Add": np.add,
    "Equal": np.equal,
    "Mul": np.multiply,
    "Sub": np.subtract,
    "Where": np.where,
}
"""What exporters leave between a size in the source and the operator that takes it."""


def constant_of(value: onnx_ir.Value | None) -> Array | None:
    """The array that a value always is; None where it is computed from an input, or not small.

    Args:
        value: An initializer, or the output of a Constant or of arithmetic on such.
    """
    if value is None:
        return None
    node = value.producer()
    if value.const_value is not None:
        return value.const_value.numpy()
    if node is None or node.domain:
        return None
    if node.op_type == "Constant":
        return _of_attributes(node)
    if node.op_type != "ConstantOfShape" and node.op_type not in _FOLDED:
        return None
    arguments = []
    for argument in node.inputs:
        array = constant_of(argument)
        if array is None:
            return None  # at the first: both sides of every residual sum would double the work
        arguments.append(array)
    if node.op_type == "ConstantOfShape":
        filling = node.attributes.get("value")
        number = 0.0 if filling is None else filling.as_tensor().numpy().item()
        return np.full([int(size) for size in arguments[0]], number)
    return np.asarray(_FOLDED[node.op_type](*arguments))


def _of_attributes(node: onnx_ir.Node) -> Array | None:
    tensor = node.attributes.get("value")
    if tensor is not None:
        return tensor.as_tensor().numpy()
    integers = node.attributes.get("value_ints")
    return None if integers is None else np.array(integers.as_ints(), np.int64)


def integers_of(value: onnx_ir.Value | None) -> list[int] | None:
    """The same as whole numbers in one list."""
    array = constant_of(value)
    return None if array is None else [int(number) for number in array.ravel()]
