"""Which of a node's inputs and outputs change with the precision that it computes in."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from modelport.errors import OperatorError
from modelport.ir.domains import DEFAULT_DOMAIN
from modelport.ops import registry
from modelport.ops.shapes import TensorInfo

NAMES = {ir.DataType.FLOAT16: "float16", ir.DataType.BFLOAT16: "bfloat16"}
"""The precisions of 16 bits, by NumPy's and ONNX's common name."""


@dataclass(frozen=True)
class Form:
    """How a node reads and writes floats once it computes in another precision.

    Attributes:
        inputs: For every input whether it is of that precision: True, False for an input that
            stays float32, None for one that may be of either.
        outputs: For every output whether it is of that precision.
    """

    inputs: tuple[bool | None, ...]
    outputs: tuple[bool, ...]


def form_of(node: ir.Node, opset: int, dtype: ir.DataType) -> Form | str:
    """The form of a node in a precision.

    Args:
        node: A node whose floats are float32.
        opset: Version of the default domain.
        dtype: FLOAT16 or BFLOAT16.

    Returns:
        The form, or why there is none.
    """
    if node.domain not in DEFAULT_DOMAIN:
        return _declared_form(node, dtype)
    schema = schema_of(node.op_type, opset)
    if schema is None:
        return f"opset {opset} has no {node.op_type}"
    if node.op_type == "Cast":
        return Form((None,), (True,))
    inputs = type_parameters(schema.inputs, len(node.inputs))
    outputs = type_parameters(schema.outputs, len(node.outputs))
    allowed = {item.type_param_str: item.allowed_type_strs for item in schema.type_constraints}
    wanted = f"tensor({NAMES[dtype]})"
    floats = [
        (name, value)
        for name, value in zip(outputs, node.outputs, strict=True)
        if value.dtype is ir.DataType.FLOAT
    ]
    for name, value in floats:
        if wanted not in allowed.get(name, ()):
            return f"{node.op_type} of opset {opset} gives no {NAMES[dtype]} as {value.name!r}"
    turned = {name for name, _ in floats}
    either = {name for name in inputs if name not in turned and wanted in allowed.get(name, ())}
    return Form(
        tuple(None if name in either else name in turned for name in inputs),
        tuple(name in turned for name in outputs),
    )


@functools.lru_cache(maxsize=512)
def schema_of(operator: str, opset: int) -> Any | None:
    """The standard's schema of an operator; None where the opset does not have it."""
    import onnx

    try:
        return onnx.defs.get_schema(operator, opset, "")
    except onnx.defs.SchemaError:
        return None


def type_parameters(formal: Sequence[Any], count: int) -> list[str]:
    """The type parameter, or the type, of every actual input or output.

    Args:
        formal: The schema's inputs or outputs.
        count: How many a node has.
    """
    names = [item.type_str for item in formal]
    # The last one stands for all that follow where it is variadic.
    return (names + names[-1:] * count)[:count]


def _declared_form(node: ir.Node, dtype: ir.DataType) -> Form | str:
    """The form of an operator that was declared with kernels for the precision."""
    name = f"{node.domain}::{node.op_type}"
    operator = registry.find(name)
    if operator is None:
        return f"{name} is not declared, so that nothing is known of its {NAMES[dtype]}"
    if not operator.dtypes or NAMES[dtype] not in operator.dtypes[0]:
        return f"{name} is declared without {NAMES[dtype]}"
    turned = tuple(value is not None and value.dtype is ir.DataType.FLOAT for value in node.inputs)
    infos = [
        None
        if value is None or value.dtype is None
        else TensorInfo(
            [dim if isinstance(dim, int) else 1 for dim in value.shape or ()],
            NAMES[dtype] if half else str(value.dtype.numpy().name),
        )
        for value, half in zip(node.inputs, turned, strict=True)
    ]
    attributes = {
        key: attribute.value for key, attribute in node.attributes.items() if not attribute.is_ref()
    }
    try:
        outputs = operator.infer(infos, {**operator.schema.defaults, **attributes})
    except (OperatorError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        return f"the shape rule of {name} fails in {NAMES[dtype]}: {error}"
    return Form(turned, tuple(info.dtype == NAMES[dtype] for info in outputs))
