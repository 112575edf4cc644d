"""Corrections of a float32 graph that reduce the loss of quantization to 8 bits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir

from modelport.arrays import Array, Arrays
from modelport.ir.constants import add_constant, tensor_of
from modelport.ir.domains import is_onnx
from modelport.model import Model
from modelport.precision.calibration import observe
from modelport.precision.quantizable import weight_axis, weight_of, weighted_nodes
from modelport.precision.weights import dequantized, quantize_weight

_ROUNDS = 20
_ALPHA = 0.5
"""Exponent of SmoothQuant: the share of a channel's magnitude that moves to the weights."""


def equalize(model: Model, cases: Iterable[Arrays], libraries: Sequence[Path] = ()) -> bool:
    """Equalizes the ranges of the channels between two convolutions; the model computes the same.

    Cross-layer equalization (M. Nagel et al., Data-Free Quantization through Weight Equalization
    and Bias Correction, 2019, section 4.1): where nothing but a Relu lies between two layers, a
    channel is divided by s before and multiplied by s behind, with s such that its weights reach
    equally far in both.

    Args:
        model: The model, changed in place.
        cases: Not needed.
        libraries: Not needed.

    Returns:
        Whether there was such a pair.
    """
    pairs = [(node, after) for node in weighted_nodes(model.ir.graph) if (after := _behind(node))]
    weights = {node: _array_of(node.inputs[1]).copy() for pair in pairs for node in pair}
    factors: dict[tuple[ir.Node, ir.Node], Array] = {}
    for _ in range(_ROUNDS):
        moved = 0.0
        for first, second in pairs:
            before = np.abs(weights[first]).max(axis=(1, 2, 3))
            behind = np.abs(weights[second]).max(axis=(0, 2, 3))
            known = (before > 0) & (behind > 0)
            factor = np.where(known, np.sqrt(before / np.where(known, behind, 1)), 1.0)
            factor = factor.astype(np.float32)
            weights[first] /= factor[:, None, None, None]
            weights[second] *= factor[None, :, None, None]
            factors[first, second] = factors.get((first, second), np.float32(1)) * factor
            moved = max(moved, float(np.abs(factor - 1).max(initial=0)))
        if moved < 1e-3:
            break
    for (first, _), product in factors.items():
        if len(first.inputs) > 2 and first.inputs[2] is not None:
            _replace(first, 2, _array_of(first.inputs[2]) / product)
    for node, array in weights.items():
        _replace(node, 1, array)
    return bool(pairs)


def _behind(node: ir.Node) -> ir.Node | None:
    """The convolution that alone reads a convolution's output, possibly through a Relu."""
    if not _is_plain_convolution(node):
        return None
    value = node.outputs[0]
    for _ in range(2):
        readers = [reader for reader, _ in value.uses()]
        if len(readers) != 1 or value.is_graph_output():
            return None
        if not is_onnx(readers[0], "Relu"):
            break
        value = readers[0].outputs[0]
    after = readers[0]
    return after if _is_plain_convolution(after) and after.inputs[0] is value else None


def _is_plain_convolution(node: ir.Node) -> bool:
    return (
        is_onnx(node, "Conv")
        and node.attributes.get_int("group", 1) == 1
        and len(node.inputs[1].shape or ()) == 4  # type: ignore[union-attr]
        and all(tensor_of(value) is not None for value in node.inputs[1:] if value is not None)
    )


def smooth(model: Model, cases: Iterable[Arrays], libraries: Sequence[Path] = ()) -> bool:
    """Moves outlying channels from activations to weights; the model computes the same.

    SmoothQuant (G. Xiao et al., 2023, equation 4): if only products read the output of a
    normalization, a channel is divided by max|x|^a / max|w|^(1-a), with a = 0.5, by its own
    scale and bias, and the weights are multiplied by it.

    Args:
        model: The model, changed in place.
        cases: Inputs by name.
        libraries: Libraries of operators that the model needs.

    Returns:
        Whether there was such a normalization.
    """
    groups = dict(_normalized_products(model.ir.graph))
    reached: dict[str, Array] = {}

    def look(name: str, array: Array) -> None:
        channels = np.abs(array).reshape(-1, array.shape[-1]).max(0)
        reached[name] = np.maximum(reached.get(name, 0.0), channels)

    if groups:
        observe(model, cases, [str(node.outputs[0].name) for node in groups], look, libraries)
    for norm, products in groups.items():
        channels = reached[str(norm.outputs[0].name)]
        arrays = [_array_of(node.inputs[1]) for node in products]
        weights = np.max([np.abs(array).max(axis=1) for array in arrays], axis=0)
        known = (channels > 0) & (weights > 0)
        factor = np.where(
            known, channels**_ALPHA / np.where(known, weights, 1.0) ** (1 - _ALPHA), 1.0
        ).astype(np.float32)
        for index in range(1, len(norm.inputs)):
            if norm.inputs[index] is not None:
                _replace(norm, index, _array_of(norm.inputs[index]) / factor)
        for node, array in zip(products, arrays, strict=True):
            _replace(node, 1, array * factor[:, None])
    return bool(groups)


def _normalized_products(graph: ir.Graph) -> Iterator[tuple[ir.Node, list[ir.Node]]]:
    products = {node for node in weighted_nodes(graph) if is_onnx(node, "MatMul")}
    for node in graph:
        if not is_onnx(node, "LayerNormalization") or node.outputs[0].is_graph_output():
            continue
        constant = all(tensor_of(value) is not None for value in node.inputs[1:] if value)
        readers = [reader for reader, _ in node.outputs[0].uses()]
        fit = all(
            reader in products
            and (weight := weight_of(reader)) is not None
            and len(weight.shape or ()) == 2
            and reader.inputs[0] is node.outputs[0]
            for reader in readers
        )
        if constant and fit and readers:
            yield node, readers


def bias_errors(
    model: Model, cases: Iterable[Arrays], libraries: Sequence[Path] = (), levels: int = 127
) -> dict[str, Array]:
    """Mean errors of outputs by rounded weights, which biases can correct.

    Bias correction (M. Nagel et al., 2019, section 4.2): a channel is off by its weights' error
    times the mean of its input; here the mean is that on the calibration data.

    Args:
        model: The model.
        cases: Inputs by name.
        libraries: Libraries of operators that the model needs.
        levels: Steps of the weights' range; see `modelport.precision.qdq.LEVELS`.

    Returns:
        The error of every channel, by the name of the node that has a constant bias.
    """
    biased = [node for node in weighted_nodes(model.ir.graph) if _bias(node)]
    sums: dict[str, Array] = defaultdict(lambda: np.zeros(1))
    counts: dict[str, int] = defaultdict(int)
    axes = {str(node.inputs[0].name): _channel_axis(node) for node in biased}  # type: ignore[union-attr]

    def look(name: str, array: Array) -> None:
        others = tuple(axis for axis in range(array.ndim) if axis != axes[name] % array.ndim)
        sums[name] = sums[name] + array.mean(others, dtype=np.float64)
        counts[name] += 1

    if biased:
        observe(model, cases, list(axes), look, libraries)
    means = {name: sums[name] / counts[name] for name in axes}
    return {
        str(node.name): _mean_error(node, means[str(node.inputs[0].name)], levels)  # type: ignore[union-attr]
        for node in biased
    }


def correct_biases(model: Model, errors: Mapping[str, Array]) -> None:
    """Subtracts the mean errors of rounded weights from the biases.

    Args:
        model: The model, changed in place: in 8 bits it is nearer to what it was.
        errors: Result of `bias_errors`, for the nodes that are to compute in 8 bits.
    """
    for node in weighted_nodes(model.ir.graph):
        bias = _bias(node)
        if bias is not None and node.name in errors:
            reader, index = bias
            array = _array_of(reader.inputs[index]) - errors[str(node.name)]
            _replace(reader, index, array.astype(np.float32))


def _mean_error(node: ir.Node, mean: Array, levels: int) -> Array:
    """Mean error of a node's outputs by the rounding of its weights, per channel."""
    array, axis = _array_of(node.inputs[1]), weight_axis(node)
    error = dequantized(*quantize_weight(array, axis, levels), axis).astype(np.float64) - array
    if is_onnx(node, "Conv"):
        groups = node.attributes.get_int("group", 1)
        summed = error.sum(axis=tuple(range(2, error.ndim)))
        outputs, inputs = summed.shape
        inside = mean.reshape(groups, inputs).repeat(outputs // groups, axis=0)
        return np.asarray((summed * inside).sum(1))
    transposed = node.attributes.get_int("transB", 0)
    if is_onnx(node, "Gemm") and transposed:
        error = error.T
    return np.asarray(mean @ error)


def _bias(node: ir.Node) -> tuple[ir.Node, int] | None:
    """The node that reads the constant bias of a weighted node, and the index of its input."""
    weight = weight_of(node)
    if weight is None or is_onnx(node, "ConvTranspose"):
        return None
    if is_onnx(node, "Conv", "Gemm"):
        plain = not is_onnx(node, "Gemm") or (
            node.attributes.get_float("alpha", 1.0) == node.attributes.get_float("beta", 1.0) == 1.0
            and not node.attributes.get_int("transA", 0)
        )
        there = len(node.inputs) > 2 and tensor_of(node.inputs[2]) is not None
        return (node, 2) if there and plain else None
    readers = [reader for reader, _ in node.outputs[0].uses()]
    if len(weight.shape or ()) != 2 or len(readers) != 1 or not is_onnx(readers[0], "Add"):
        return None
    found = next((p for p in (0, 1) if tensor_of(readers[0].inputs[p]) is not None), None)
    if found is None or len(readers[0].inputs[found].shape or ()) != 1:  # type: ignore[union-attr]
        return None
    return readers[0], found


def _channel_axis(node: ir.Node) -> int:
    return 1 if is_onnx(node, "Conv") else -1


def _array_of(value: ir.Value | None) -> Array:
    tensor = tensor_of(value)
    assert tensor is not None
    return np.asarray(tensor.numpy())


def _replace(node: ir.Node, index: int, array: Array) -> None:
    old = node.inputs[index]
    assert old is not None
    assert isinstance(node.graph, ir.Graph)
    new = add_constant(node.graph, f"{old.name}_adjusted", array.astype(np.float32))
    node.replace_input_with(index, new)


Improvement = Callable[[Model, Iterable[Arrays], Sequence[Path]], bool]

IMPROVEMENTS: Mapping[str, Improvement] = {"smooth": smooth, "equalize": equalize}
"""Corrections by name, in the order in which they are tried, before biases are corrected."""
