"""Text of tensors, attributes and nodes, for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from modelport.errors import UsageError
from modelport.graph.tensors import read_array, statistics

if TYPE_CHECKING:
    import onnx_ir

_LONG = 8


def shown(name: str | None) -> str:
    """A name on one line: control characters and the like are escaped."""
    text = name or ""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def dim_text(dim: object) -> str:
    """A size, the name of a dynamic dimension, or ``?``."""
    if isinstance(dim, int):
        return str(dim)
    return shown(str(getattr(dim, "value", dim) or "?"))


def type_text(value: onnx_ir.Value) -> str:
    """A tensor's type and shape: ``float32[batch, 3]``; ``?`` where nothing is known."""
    import onnx_ir

    if value.type is None:
        return "?"
    dtype = dtype_text(value.dtype)
    rank = "?" if value.shape is None else ", ".join(map(dim_text, value.shape))
    kind = value.type
    names = []
    while not isinstance(kind, onnx_ir.TensorType | onnx_ir.SparseTensorType):
        names.append(type(kind).__name__.removesuffix("Type").lower())
        kind = kind.elem_type  # type: ignore[assignment]
        if isinstance(kind, onnx_ir.DataType):
            break
    text = f"{dtype}[{rank}]"
    for name in reversed(names):
        text = f"{name}({text})"
    return text


def dtype_text(dtype: onnx_ir.DataType | None) -> str:
    """An element type as NumPy and ml_dtypes write it."""
    if dtype is None:
        return "?"
    names = {"FLOAT": "float32", "DOUBLE": "float64", "STRING": "str"}
    return names.get(dtype.name, dtype.name.lower())


def operator_text(node: onnx_ir.Node) -> str:
    """A node's operator, with its domain where it is not the default one."""
    domain = shown(node.domain)
    return f"{domain}::{shown(node.op_type)}" if domain else shown(node.op_type)


def attribute_text(attribute: onnx_ir.Attr) -> str:
    """An attribute's value, cut where it is long."""
    import onnx_ir

    if attribute.is_ref():
        return f"@{shown(attribute.ref_attr_name)}"
    value = attribute.value
    if attribute.type is onnx_ir.AttributeType.GRAPH:
        return f"graph of {len(attribute.as_graph())} nodes"
    if attribute.type is onnx_ir.AttributeType.GRAPHS:
        return f"{len(attribute.as_graphs())} graphs"
    if attribute.type is onnx_ir.AttributeType.TENSOR:
        return _tensor_text(attribute.name, attribute.as_tensor())
    if isinstance(value, str | bytes):
        text = value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")
        return f'"{shown(text if len(text) <= 80 else text[:77] + "...")}"'
    if isinstance(value, float):
        return f"{value:.7g}"
    if isinstance(value, Iterable):
        items = list(value)
        texts = [f"{item:.7g}" if isinstance(item, float) else shown(str(item)) for item in items]
        more = f", ... {len(items)} in all" if len(items) > 4 * _LONG else ""
        return f"[{', '.join(texts[: 4 * _LONG])}{more}]"
    return shown(str(value))


def _tensor_text(name: str, tensor: onnx_ir.TensorProtocol) -> str:
    shape = ", ".join(map(str, tensor.shape))
    text = f"{dtype_text(tensor.dtype)}[{shape}]"
    if tensor.size > _LONG:
        return text
    array = read_array(name, tensor)
    return f"{text} {shown(np.array2string(array, separator=', ', max_line_width=200))}"


def node_text(node: onnx_ir.Node) -> str:
    """A node with its attributes, inputs, outputs, and statistics of the weights it reads."""
    from modelport.graph.location import source_place
    from modelport.graph.lookup import module_path

    lines = [f"{operator_text(node)} {shown(node.name)!r}"]
    if path := module_path(node):
        lines.append(f"  module {shown(path)}")
    location = source_place(node)
    if ":" in location and location not in (node.name, node.op_type):
        lines.append(f"  source {shown(location)}")
    for attribute in node.attributes.values():
        lines.append(f"  attribute {shown(attribute.name)} = {attribute_text(attribute)}")
    for value in node.inputs:
        if value is None:
            lines.append("  input (left out)")
            continue
        lines.append(f"  input {shown(value.name)}: {type_text(value)}")
        if value.const_value is not None and value.is_initializer():
            found = statistics(read_array(value.name or "", value.const_value))
            lines.append(f"    {found or 'no numbers'}")
    for value in node.outputs:
        lines.append(f"  output {shown(value.name)}: {type_text(value)}")
    return "\n".join(lines)


def model_text(model: onnx_ir.Model) -> str:
    """The textual form of a model, which ``onnx.parser`` reads back.

    Weights that lie in other files are written as references to them.

    Args:
        model: The model.

    Raises:
        UsageError: ONNX's printer refuses it.
    """
    import onnx
    import onnx_ir

    try:
        return str(onnx.printer.to_text(onnx_ir.to_proto(model)))
    except (
        onnx.shape_inference.InferenceError,
        onnx_ir.serde.SerdeError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise UsageError("the model cannot be written as text", why=str(error)) from error
