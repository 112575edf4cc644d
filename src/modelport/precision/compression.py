"""Lower precision without calibration: weights alone, or activations scaled at every run."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import common

from modelport.errors import BuildError, UsageError
from modelport.graph import convert_opset
from modelport.ir.constants import tensor_of
from modelport.ir.domains import is_onnx, onnx_nodes
from modelport.model import Model
from modelport.passes.duplicate_initializers import ShareInitializers
from modelport.precision.excluded_nodes import asked_for
from modelport.precision.weights import add_dequantized, quantize_blocks

SCHEMES = ("dynamic", "weights8", "weights4")
"""8 bits with activations scaled at every run; weights alone in 8 or in 4 bits."""

BLOCK = 32
"""Rows of a weight that share a scale: the smallest that ONNX Runtime's kernel of few bits is fast
with, and the form that TensorRT and OpenVINO take as well."""

_BLOCKED_OPSET = 21
"""The opset that introduced blocks and 4 bits."""


def compress(model: Model, scheme: str, keep: Iterable[str] = ()) -> Model:
    """Compresses the constant weights of products to few bits.

    ``weights8`` and ``weights4`` store them so, with a scale for every block of 32 rows, behind a
    DequantizeLinear that runtimes merge with the product. ``dynamic`` computes products (and LSTMs)
    in 8 bits too, by ONNX Runtime's own rewrite, which is for ONNX Runtime alone.

    Args:
        model: The model; it stays as it is.
        scheme: One of `SCHEMES`.
        keep: What stays in float32: names of nodes, patterns of them with ``*``, operators.

    Returns:
        A rewritten copy.

    Raises:
        UsageError: The scheme is unknown, nothing of the model has such weights, or a name in
            `keep` is that of nothing.
        PassError: The model does not convert to the opset that has 4 bits.
        BuildError: ONNX Runtime cannot rewrite the model.
    """
    if scheme not in SCHEMES:
        raise UsageError(f"unknown scheme {scheme!r}", fix=f"one of: {', '.join(SCHEMES)}")
    if model.opset < _BLOCKED_OPSET and scheme != "dynamic":
        model = convert_opset(model, _BLOCKED_OPSET)
    copy = model.copy()
    kept = asked_for(copy.ir.graph.all_nodes(), keep)
    if scheme == "dynamic":
        return _dynamic(copy, kept)
    nodes = [node for node in compressible(copy.ir.graph) if node not in kept]
    if not nodes and not kept:
        raise UsageError(
            "the model has no products with constant weights to compress",
            why=f"a MatMul whose weights are a constant [K, N], K a multiple of {BLOCK}, is one",
        )
    _compress_weights(nodes, 4 if scheme == "weights4" else 8)
    common.RemoveUnusedNodesPass()(copy.ir)
    return copy


def compressible(graph: ir.Graph) -> list[ir.Node]:
    """The products whose weights can be stored in blocks."""
    return [node for node in onnx_nodes(graph, "MatMul") if _has_blocks(node.inputs[1])]


def _has_blocks(value: ir.Value | None) -> bool:
    tensor = tensor_of(value)
    return (
        tensor is not None
        and tensor.dtype is ir.DataType.FLOAT
        and len(tensor.shape) == 2
        and np.asarray(tensor.shape[0]) % BLOCK == 0
    )


def _compress_weights(nodes: Iterable[ir.Node], bits: int) -> None:
    done: dict[ir.Value, ir.Value] = {}
    for node in nodes:
        value, tensor = node.inputs[1], tensor_of(node.inputs[1])
        assert value is not None
        assert tensor is not None
        if value not in done:
            array, scales = quantize_blocks(np.asarray(tensor.numpy()), bits, BLOCK)
            attributes = {"axis": 0, "block_size": BLOCK}
            done[value] = add_dequantized(node, value, array, scales, attributes)
        node.replace_input_with(1, done[value])


def _dynamic(model: Model, kept: Collection[ir.Node]) -> Model:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    _separate_weights(model.ir)
    _forget_shapes(model.ir)
    with tempfile.TemporaryDirectory(prefix="modelport-") as name, _quiet():
        folder = Path(name)
        before = model.save(folder / "before.onnx")
        try:
            quantize_dynamic(
                before,
                folder / "after.onnx",
                per_channel=True,
                # CPUs without VNNI add products of uint8 and int8 in 16 bits, which saturates;
                # two factors of uint8 are exact on every CPU.
                weight_type=QuantType.QUInt8,
                nodes_to_exclude=[str(node.name) for node in kept],
            )
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise BuildError(
                "ONNX Runtime cannot quantize the model dynamically",
                why=f"{type(error).__name__}: {error}",
                fix="compress the weights alone, or calibrate",
            ) from error
        after = Model.load(folder / "after.onnx")
        ir.external_data.load_to_model(after.ir)
    ShareInitializers()(after.ir)
    return dataclasses.replace(model, ir=after.ir)


def _separate_weights(model: ir.Model) -> None:
    """Gives each Gemm weights of its own: ONNX Runtime's rewrite transposes them in place."""
    for node in model.graph.all_nodes():
        value = node.inputs[1] if is_onnx(node, "Gemm") else None
        if value is None or not value.is_initializer() or len(value.uses()) < 2:
            continue
        graph = value.graph
        assert isinstance(graph, ir.Graph)
        names = {other.name for part in model.graphs() for other in _values(part)}
        name = next(n for i in itertools.count(1) if (n := f"{value.name}_{i}") not in names)
        own = ir.Value(name=name, type=value.type, shape=value.shape, const_value=value.const_value)
        graph.register_initializer(own)
        node.replace_input_with(1, own)


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    yield from (*graph.inputs, *graph.initializers.values())
    for node in graph:
        yield from node.outputs


def _forget_shapes(model: ir.Model) -> None:
    """Removes the recorded shapes of inner tensors: the rewrite transposes weights."""
    for graph in model.graphs():
        outer = {*graph.inputs, *graph.outputs}
        made = [value for node in graph for value in node.outputs]
        for value in (*graph.initializers.values(), *made):
            if value not in outer:
                value.shape = None


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppresses advice that is logged at every rewrite."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
