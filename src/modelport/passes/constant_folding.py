"""Constant folding, by onnxscript, with a limit on what it may add to the file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import onnx_ir as ir
from onnxscript.optimizer import FOLDED_FROM_KEY, fold_constants_ir

from modelport.ir.constants import nbytes_of, tensor_of
from modelport.ir.domains import is_onnx
from modelport.ir.random_operators import draws
from modelport.passes.base import Rewrite, functions_aside

_KEPT = frozenset(
    {
        # They say how a tensor is quantized.
        *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"),
        # The reference implementation is slow, or known to differ from those that run models.
        *("Resize", "Upsample", "GridSample", "RoiAlign", "NonMaxSuppression", "DFT", "STFT"),
        *("Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "DeformConv", "Einsum"),
        *("LSTM", "GRU", "RNN", "MaxRoiPool", "Attention"),
    }
)

_NARROW = frozenset(
    kind
    for kind in ir.DataType
    if kind.name.startswith(("FLOAT8", "FLOAT4", "INT4", "UINT4", "INT2", "UINT2"))
)
"""Types to which the reference implementation rounds in another way than runtimes do."""


_RULE = "folded"


class FoldConstants(Rewrite):
    """Computes what depends on constants alone, by onnxscript's folding.

    It also resolves an `If` on a constant, sequences of known length, and `Shape` of fixed sizes.
    A tensor beyond the limit is folded only where no more bytes come than go.

    Args:
        size_limit: Bytes that one folded tensor may have.
    """

    def __init__(self, size_limit: int) -> None:
        super().__init__()
        self._size_limit = size_limit

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Folds constants in the main graph and its subgraphs; functions stay as they are."""
        _keep_saturation(model)
        before = list(model.graph.all_nodes())
        with functions_aside(model), _open_splits_hidden(model):
            result = fold_constants_ir(
                model, onnx_shape_inference=False, should_fold=self._should_fold
            )
        for node in before:
            if node.graph is None:
                self.decided(node, _RULE)
        _forget_origins(model)
        return ir.passes.PassResult(model, result.modified)

    def _should_fold(self, node: ir.Node) -> bool | None:
        why = _why_not(node)
        if why:
            self._refuse(node, why)
            return False
        sizes = [_nbytes(value) for value in node.outputs]
        if None in sizes:
            # onnxscript has limits of its own, on elements.
            return None
        comes = sum(size for size in sizes if size is not None)
        if comes <= self._size_limit:
            return True
        goes = [
            nbytes_of(value.const_value)
            for value in set(node.inputs)
            if value is not None and value.const_value is not None and len(value.consumers()) == 1
        ]
        if comes <= sum(goes):
            return True
        self._refuse(node, f"{comes} bytes would come, and {sum(goes)} go")
        return False

    def _refuse(self, node: ir.Node, why: str) -> None:
        # onnxscript asks about all nodes, also about those that read no constant.
        if all(value is None or tensor_of(value) is not None for value in node.inputs):
            self.decided(node, _RULE, refused=why)


def _why_not(node: ir.Node) -> str:
    """Why a node is left alone whatever it reads; empty where it need not be."""
    if draws(node):
        return "it draws random numbers, in every run anew"
    if node.op_type in _KEPT:
        return "runtimes compute it in another way than the reference does, or faster"
    if any(value.dtype in _NARROW for value in node.outputs):
        return "runtimes round to its type in another way than the reference does"
    return ""


def _nbytes(value: ir.Value) -> int | None:
    if value.shape is None or value.dtype is None or not value.shape.is_static():
        return None
    if value.dtype == ir.DataType.STRING:
        return None
    return math.ceil(math.prod(value.shape.numpy()) * value.dtype.itemsize)


def _keep_saturation(model: ir.Model) -> None:
    """Makes a `Cast` of each `CastLike` that does not saturate: onnxscript would let it."""
    for node in model.graph.all_nodes():
        if is_onnx(node, "CastLike") and node.attributes.get_int("saturate", 1) == 0:
            like = node.inputs[1]
            if like is not None and like.dtype is not None:
                node.op_type = "Cast"
                node.attributes.add(ir.AttrInt64("to", like.dtype.value))
                node.resize_inputs(1)


@contextmanager
def _open_splits_hidden(model: ir.Model) -> Iterator[None]:
    """Hides that the size of a split is a scalar: onnxscript fails where it is no constant."""
    hidden = {}
    for node in model.graph.all_nodes():
        size = node.inputs[1] if is_onnx(node, "SplitToSequence") and len(node.inputs) > 1 else None
        if size is not None and size.const_value is None and size.shape is not None:
            hidden[size] = size.shape
            size.shape = None
    try:
        yield
    finally:
        for size, shape in hidden.items():
            size.shape = shape


def _forget_origins(model: ir.Model) -> None:
    """Drops onnxscript's lists of the names that a constant was folded from."""
    for graph in model.graphs():
        for value in graph.initializers.values():
            value.metadata_props.pop(FOLDED_FROM_KEY, None)
        for node in graph:
            for value in node.outputs:
                value.metadata_props.pop(FOLDED_FROM_KEY, None)
