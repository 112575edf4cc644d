"""Nodes that can compute in 8 bits, and their tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx_ir as ir

from modelport.ir.constants import tensor_of
from modelport.ir.domains import is_onnx

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Weighted operators: sums of products of activations and weights."""

JOINING = ("Add", "Concat", "AveragePool", "GlobalAveragePool")
"""Operators that runtimes compute in 8 bits between weighted ones, with a range of their own."""

PASSING = ("MaxPool", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice")
"""Operators whose results are among their inputs, and so have their range."""

ACTIVATIONS = ("Relu", "Clip")
"""Operators that runtimes merge into the node before."""

QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")


def weighted_nodes(graph: ir.Graph) -> list[ir.Node]:
    """The weighted nodes that can compute in 8 bits, in order."""
    return [
        node
        for node in graph
        if is_onnx(node, *WEIGHTED)
        and all(value is not None and is_float(value) for value in node.inputs[:2])
        and tensor_of(node.inputs[0]) is None
    ]


def is_float(value: ir.Value | None) -> bool:
    """Return True if a value is a float32 tensor."""
    return value is not None and value.dtype is ir.DataType.FLOAT


def activation_places(node: ir.Node) -> list[int]:
    """Indices of a node's inputs that are float32 and computed, not constant; without biases."""
    last = 2 if is_onnx(node, *WEIGHTED) else len(node.inputs)
    return [
        index
        for index, value in enumerate(node.inputs[:last])
        if is_float(value) and tensor_of(value) is None
    ]


def weight_of(node: ir.Node) -> ir.Value | None:
    """The constant weights of a weighted node; None for a product of two activations."""
    value = node.inputs[1]
    return value if tensor_of(value) is not None else None


def weight_axis(node: ir.Node) -> int | None:
    """The axis of a node's output channels in its weights; None where there is no such axis."""
    weight = node.inputs[1]
    assert weight is not None
    rank = len(weight.shape or ())
    if is_onnx(node, "Conv"):
        return 0
    if is_onnx(node, "ConvTranspose"):
        # Of several groups, a channel of the weights is one of each group.
        return 1 if node.attributes.get_int("group", 1) == 1 else None
    if is_onnx(node, "Gemm"):
        return 0 if node.attributes.get_int("transB", 0) else 1
    return rank - 1 if rank > 1 else None


def settled_output(node: ir.Node) -> ir.Value:
    """A node's output, after the activation if that alone reads it and can be merged."""
    value = node.outputs[0]
    readers = [reader for reader, _ in value.uses()]
    if len(readers) == 1 and is_onnx(readers[0], *ACTIVATIONS) and not value.is_graph_output():
        return readers[0].outputs[0]
    return value


def tensors_to_calibrate(graph: ir.Graph) -> list[str]:
    """Names of the tensors whose ranges quantization may need."""
    names: dict[str, None] = {}
    for value in _candidates(graph):
        if is_float(value) and tensor_of(value) is None and value.name:
            names[value.name] = None
    return list(names)


def _candidates(graph: ir.Graph) -> Iterator[ir.Value]:
    for node in graph:
        if is_onnx(node, *WEIGHTED, *JOINING, *PASSING):
            yield from _values(node.inputs[index] for index in activation_places(node))
            yield node.outputs[0]
            yield settled_output(node)


def _values(values: Iterable[ir.Value | None]) -> Iterator[ir.Value]:
    return (value for value in values if value is not None)
