"""What TensorRT 10 and 11, and TensorRT for RTX, will refuse or change in a graph.

Networks are strongly typed there: the types are those of the graph, quantization is explicit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from modelport.backends.tensorrt.build.parser_support import ask_parser
from modelport.backends.tensorrt.library import TENSORRT
from modelport.backends.tensorrt.unsupported_ops import form_of
from modelport.errors import UsageError
from modelport.findings import Finding, Severity
from modelport.graph.lint_report import Rule
from modelport.graph.lookup import origins
from modelport.graph.tensors import read_array
from modelport.ir.domains import DEFAULT_DOMAIN, onnx_nodes
from modelport.model import DIMS_KEY

if TYPE_CHECKING:
    import onnx_ir


def _place(node: onnx_ir.Node) -> str:
    return node.name or node.op_type


def _nodes(model: onnx_ir.Model, *ops: str) -> list[onnx_ir.Node]:
    return onnx_nodes(model.graph.all_nodes(), *ops)


def _custom(model: onnx_ir.Model) -> Iterable[Finding]:
    """Operators that only a plugin can compute, and types that no plugin takes."""
    import onnx_ir

    refused = (onnx_ir.DataType.BOOL, onnx_ir.DataType.UINT8)
    bodies = {(key[0], key[1]) for key in model.functions}
    for node in model.graph.all_nodes():
        if node.domain in DEFAULT_DOMAIN or (node.domain, node.op_type) in bodies:
            continue
        yield Finding(
            "trt-plugin",
            Severity.WARNING,
            f"{node.domain}::{node.op_type} needs a plugin; TensorRT for RTX takes none, and its "
            "parser ends the process",
            _place(node),
            "build and register the plugin, or write the operator with standard ones",
        )
        values = [value for value in (*node.inputs, *node.outputs) if value is not None]
        for value in values:
            if value.dtype in refused:
                yield Finding(
                    "trt-plugin-type",
                    Severity.ERROR,
                    f"a plugin can neither take nor give {value.dtype}: {value.name!r}",
                    _place(node),
                    "cast to int32 or int8 around the node",
                )


def _float_shapes(model: onnx_ir.Model) -> Iterable[Finding]:
    """A Resize whose scales are an input of the network."""
    import onnx_ir

    integers = (onnx_ir.DataType.INT32, onnx_ir.DataType.INT64)
    inputs = {
        value
        for value in model.graph.inputs
        if not value.is_initializer() and value.dtype not in integers
    }
    for node in _nodes(model, "Resize", "Upsample"):
        place = 2 if node.op_type == "Resize" and len(node.inputs) > 2 else 1
        scales = node.inputs[place] if len(node.inputs) > place else None
        if scales is not None and inputs & origins(scales):
            yield Finding(
                "trt-float-scales",
                Severity.ERROR,
                "the scales depend on the values of an input of the network: what shapes are made "
                "of must be int32 or int64 there",
                _place(node),
                "take the target size as an integer input and give it as `sizes`",
            )


def _quantization(model: onnx_ir.Model) -> Iterable[Finding]:
    """Q/DQ that is not symmetric int8 with a positive scale, and quantized biases."""
    import onnx_ir

    kinds = onnx_ir.DataType
    for node in _nodes(model, "QuantizeLinear", "DequantizeLinear"):
        data, zero = node.inputs[0], node.inputs[2] if len(node.inputs) > 2 else None
        integers = node.outputs[0] if node.op_type == "QuantizeLinear" else data
        if node.op_type == "DequantizeLinear" and data is not None and data.dtype is kinds.INT32:
            yield Finding(
                "trt-quantized-bias",
                Severity.ERROR,
                "DequantizeLinear of int32 (a quantized bias) is refused",
                _place(node),
                "keep biases as floats: QuantizeBias=False in onnxruntime.quantization",
            )
        elif integers is not None and integers.dtype is kinds.UINT8:
            yield Finding(
                "trt-asymmetric",
                Severity.ERROR,
                "activations are quantized to uint8: only signed, symmetric int8 is taken",
                _place(node),
                "ActivationSymmetric=True and activation_type=QInt8",
            )
        elif zero is not None and not _is_zero(zero):
            yield Finding(
                "trt-asymmetric",
                Severity.ERROR,
                "the zero point is not a constant 0",
                _place(node),
                "quantize symmetrically",
            )


def _is_zero(value: onnx_ir.Value) -> bool:
    if value.const_value is None:
        return False
    try:
        return not np.any(read_array(value.name or "", value.const_value).astype(np.float64))
    except UsageError:
        return False


def _types(model: onnx_ir.Model) -> Iterable[Finding]:
    """Element types that TensorRT does not have."""
    import onnx_ir

    kinds = onnx_ir.DataType
    for dtype, severity, text in (
        (kinds.DOUBLE, Severity.WARNING, "float64 does not exist there: it is cut to float32"),
        (kinds.STRING, Severity.ERROR, "strings do not exist there"),
        (kinds.COMPLEX64, Severity.ERROR, "complex numbers do not exist there"),
    ):
        values = [
            *model.graph.inputs,
            *(value for node in model.graph.all_nodes() for value in node.outputs),
        ]
        found = [value for value in values if value.dtype is dtype]
        if found:
            yield Finding(
                "trt-type",
                severity,
                f"{text}: {len(found)} tensors",
                found[0].name or "",
                "export the model with other types",
            )


def _dynamic_without_range(model: onnx_ir.Model) -> Iterable[Finding]:
    """Dynamic inputs of which no range is declared: an optimization profile needs one."""
    import json

    try:
        declared = json.loads(model.metadata_props.get(DIMS_KEY, "{}"))
    except ValueError:
        declared = {}
    for value in model.graph.inputs:
        for axis, dim in enumerate(value.shape or ()):
            if isinstance(dim, int):
                continue
            known = declared.get(dim.value or "", {}) if isinstance(declared, dict) else {}
            if not known or known.get("max") is None:
                yield Finding(
                    "trt-no-range",
                    Severity.NOTE,
                    f"the dimension {dim.value or '?'!r} of {value.name!r} has no largest size: an "
                    "optimization profile needs the least, the usual and the largest",
                    f"{value.name}[{axis}]",
                    "declare it: modelport.Dim(name, min=..., max=...)",
                )


def _refused(model: onnx_ir.Model) -> Iterable[Finding]:
    """Operators that parse and then fail to build."""
    for node in model.graph.all_nodes():
        form = form_of(node)
        if form is not None and form.parses:
            yield Finding(
                "trt-refused",
                Severity.ERROR,
                f"it parses, and then cannot be built: {form.why}",
                _place(node),
                form.fix,
            )


STATIC: Sequence[Rule] = (
    _custom,
    _float_shapes,
    _quantization,
    _types,
    _dynamic_without_range,
    _refused,
)
"""What is known without the library."""
RULES: Sequence[Rule] = (*STATIC, lambda model: ask_parser(model, TENSORRT))
