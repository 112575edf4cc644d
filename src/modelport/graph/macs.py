"""Multiply-accumulates of a node, from the shapes of its inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from modelport.ir.domains import DEFAULT_DOMAIN
from modelport.ir.symbolic_sizes import product

if TYPE_CHECKING:
    import onnx_ir

_Dim = int | str
_RECURRENT = ("RNN", "GRU", "LSTM")


def macs_of(node: onnx_ir.Node) -> int | str | None:
    """The multiply-accumulates of a node.

    Args:
        node: A node whose inputs' and outputs' shapes are known as far as they can be.

    Returns:
        A number; a product of dynamic dimensions as text, such as ``1728*batch``; 0 for an
        operator that multiplies no matrices; None where shapes that matter are not known.
    """
    count = _COUNTS.get(node.op_type) if node.domain in DEFAULT_DOMAIN else None
    if count is None:
        return 0
    try:
        factors = count(node)
    except (_UnknownError, IndexError, KeyError):
        return None
    return product(factors)


class _UnknownError(Exception):
    """A shape is not known."""


def _shape(value: onnx_ir.Value | None) -> list[_Dim]:
    if value is None:
        raise _UnknownError
    shape = value.shape
    if shape is None and value.const_value is not None:
        shape = value.const_value.shape  # type: ignore[assignment]
    if shape is None:
        raise _UnknownError
    dims: list[_Dim] = []
    for dim in shape:
        size = dim if isinstance(dim, int) else getattr(dim, "value", None)
        if size is None:
            raise _UnknownError
        dims.append(size)
    return dims


def _conv(node: onnx_ir.Node) -> Sequence[_Dim]:
    # Each element of the output sums over the kernel and the channels of its group.
    return [*_shape(node.outputs[0]), *_shape(node.inputs[1])[1:]]


def _conv_transpose(node: onnx_ir.Node) -> Sequence[_Dim]:
    # Each element of the input is spread over the kernel and the output channels of its group.
    return [*_shape(node.inputs[0]), *_shape(node.inputs[1])[1:]]


def _matmul(node: onnx_ir.Node) -> Sequence[_Dim]:
    return [*_shape(node.outputs[0]), _shape(node.inputs[0])[-1]]


def _gemm(node: onnx_ir.Node) -> Sequence[_Dim]:
    transposed = node.attributes.get_int("transA", 0)
    return [*_shape(node.outputs[0]), _shape(node.inputs[0])[0 if transposed else 1]]


def _einsum(node: onnx_ir.Node) -> Sequence[_Dim]:
    equation = (node.attributes.get_string("equation") or "").replace(" ", "")
    terms = equation.partition("->")[0].split(",")
    if "." in equation or len(terms) < 2:
        raise _UnknownError
    sizes: dict[str, _Dim] = {}
    for term, value in zip(terms, node.inputs, strict=False):
        sizes.update(zip(term, _shape(value), strict=False))
    return [*sizes.values(), len(terms) - 1]


def _recurrent(node: onnx_ir.Node) -> Sequence[_Dim]:
    steps, batch, size = _shape(node.inputs[0])
    if node.attributes.get_int("layout", 0):
        steps, batch = batch, steps
    directions, rows, _ = _shape(node.inputs[1])
    hidden = _shape(node.inputs[2])[-1]
    if not isinstance(size, int) or not isinstance(hidden, int):
        raise _UnknownError
    return [steps, batch, directions, rows, size + hidden]


_COUNTS: dict[str, Callable[[onnx_ir.Node], Sequence[_Dim]]] = {
    "Conv": _conv,
    "ConvInteger": _conv,
    "QLinearConv": lambda node: [*_shape(node.outputs[0]), *_shape(node.inputs[3])[1:]],
    "ConvTranspose": _conv_transpose,
    "MatMul": _matmul,
    "MatMulInteger": _matmul,
    "QLinearMatMul": _matmul,
    "Gemm": _gemm,
    "Einsum": _einsum,
    **dict.fromkeys(_RECURRENT, _recurrent),
}
