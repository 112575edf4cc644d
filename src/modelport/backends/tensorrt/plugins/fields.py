"""An operator's attributes as the fields that a plugin is created with."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelport.errors import OperatorError
from modelport.ops.declaration import Operator
from modelport.ops.schema import Attribute, join_texts

DATA_TYPES = {"float32": 0, "float16": 1, "int8": 2, "int32": 3, "bfloat16": 7, "int64": 8}
"""TensorRT's numbers of the element types that tensors of plugins have, by NumPy's name."""

INPUTS_FIELD = "modelport_inputs"
"""The field that says which inputs a node has, by their places in the declaration."""

_FLOAT32, _INT32, _CHAR = 1, 5, 6


@dataclass(frozen=True)
class Field:
    """A field of a plugin.

    Attributes:
        name: Its name.
        type: TensorRT's number of its element type.
        length: How many elements it has.
        data: Their bytes.
    """

    name: str
    type: int
    length: int
    data: bytes


def plugin_fields(
    operator: Operator, values: Mapping[str, Any], inputs: Sequence[int] | None = None
) -> list[Field]:
    """The fields for a node of an operator, as TensorRT's ONNX parser makes them.

    Args:
        operator: The operator.
        values: The attributes that are given.
        inputs: The places of the inputs that the node has; None where it has the first ones.

    Raises:
        OperatorError: An integer has more than 32 bits: the parser would cut it.
    """
    fields = [
        _field(operator, item, values[item.name])
        for item in operator.schema.attributes
        if item.name in values
    ]
    if inputs is not None:
        packed = struct.pack(f"{len(inputs)}i", *inputs)
        fields.append(Field(INPUTS_FIELD, _INT32, len(inputs), packed))
    return fields


def _field(operator: Operator, attribute: Attribute, value: Any) -> Field:
    kind = attribute.kind
    if kind in ("str", "list[str]"):
        text = (value if kind == "str" else join_texts(value)).encode()
        return Field(attribute.name, _CHAR, len(text), text)
    numbers = value if kind.startswith("list[") else [value]
    if kind in ("float", "list[float]"):
        data = struct.pack(f"{len(numbers)}f", *numbers)
        return Field(attribute.name, _FLOAT32, len(numbers), data)
    if not all(-(2**31) <= number < 2**31 for number in numbers):
        raise OperatorError(
            f"{operator.qualified_name}: the attribute {attribute.name} is {value}",
            why="TensorRT's ONNX parser cuts integers of attributes to 32 bits",
            fix="pass it as an input",
        )
    return Field(attribute.name, _INT32, len(numbers), struct.pack(f"{len(numbers)}i", *numbers))
