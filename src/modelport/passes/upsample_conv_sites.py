"""Where an upsampling by a whole factor is worth merging with the convolution behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from modelport.arrays import Array
from modelport.ir.constants import constant
from modelport.ir.domains import is_onnx

_POINTWISE = (
    *("Relu", "LeakyRelu", "Elu", "Selu", "Celu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh"),
    *("Softplus", "Softsign", "Mish", "Gelu", "Identity", "Clip", "Abs", "Neg"),
)
"""Operators that treat every element alike."""

REACH = 2
"""How many pixels away interpolation reads at most."""

_MOST = 1 << 24
"""Elements that weights may have to be merged."""


@dataclass(frozen=True)
class Axis:
    """What is merged along one axis.

    Attributes:
        factor: How many times larger the picture becomes.
        kernels: What an output in each place reads of the small picture for every tap of the
            convolution: [place, pixel, tap].
        before: Pixels before its own that an output reads.
        after: Those after it.
    """

    factor: int
    kernels: Array
    before: int
    after: int

    @classmethod
    def of(cls, weights: Array, taps: int) -> Axis:
        """The axis of a convolution with so many taps, behind interpolation with some weights."""
        factor = len(weights)
        found: dict[tuple[int, int, int], float] = {}
        for place in range(factor):
            for tap in range(taps):
                pixel, inside = divmod(place + tap - taps // 2, factor)
                for step in np.flatnonzero(weights[inside]):
                    key = (place, pixel + int(step) - REACH, tap)
                    found[key] = found.get(key, 0.0) + weights[inside, step]
        pixels = [pixel for _, pixel, _ in found]
        before, after = max(0, -min(pixels)), max(0, *pixels)
        kernels = np.zeros((factor, before + 1 + after, taps))
        for (place, pixel, tap), weight in found.items():
            kernels[place, pixel + before, tap] = weight
        return cls(factor, kernels, before, after)

    @property
    def size(self) -> int:
        """Pixels that an output reads."""
        return self.before + 1 + self.after


@dataclass(frozen=True)
class Site:
    """A place where merging makes things cheaper.

    Attributes:
        resize: The upsampling.
        axes: What is merged along height and width.
        chain: The nodes behind it, the convolution first, that are computed anew: near the border
            as they were.
        before: How many of them lie before the merged convolution's places are put together.
    """

    resize: ir.Node
    axes: tuple[Axis, Axis]
    chain: tuple[ir.Node, ...]
    before: int

    @property
    def last(self) -> ir.Node:
        """The node whose output is computed anew."""
        return self.chain[-1]

    @property
    def border(self) -> tuple[int, int]:
        """How far the border reaches into the last node's output, along height and width."""
        sizes = [_kernel(node) for node in self.chain if is_onnx(node, "Conv")]
        return sum(height // 2 for height, _ in sizes), sum(width // 2 for _, width in sizes)


def find_site(resize: ir.Node) -> Site | None:
    """The place behind a node; None where it is no such upsampling, or nothing gets cheaper."""
    weights = _interpolation(resize)
    if weights is None:
        return None
    chain = _chain(resize)
    if not chain or chain[0].attributes.get_int("group", 1) != 1 or not _is_same_size(chain[0]):
        return None
    height, width = _kernel(chain[0])
    axes = Axis.of(weights, height), Axis.of(weights, width)
    if axes[0].size * axes[1].size >= height * width:
        return None
    before = 1
    while before < len(chain) and _has_no_width(chain[before]):
        before += 1
    # The border is joined to the rest where channels are fewest.
    counts = [_channels(chain[:end]) for end in range(before, len(chain) + 1)]
    end = before + counts.index(min(counts))
    return Site(resize, axes, tuple(chain[:end]), before)


def _interpolation(node: ir.Node) -> Array | None:
    """What an output in each place reads of the pixels around: [place, pixel]; None if unknown."""
    attributes = node.attributes
    if not is_onnx(node, "Resize") or node.inputs[0] is None or "axes" in attributes:
        return None
    mode = attributes.get_string("mode", "nearest")
    scales = constant(node.inputs[2]) if len(node.inputs) == 3 else None
    plain = (
        mode in ("linear", "cubic")
        and attributes.get_string("coordinate_transformation_mode", "half_pixel")
        in ("half_pixel", "pytorch_half_pixel")
        and not attributes.get_int("antialias", 0)
        and not attributes.get_int("exclude_outside", 0)
    )
    if not plain or scales is None or scales.size != 4:
        return None
    factor = int(scales[-1])
    if factor < 2 or list(scales) != [1, 1, factor, factor]:
        return None
    weights = np.zeros((factor, 2 * REACH + 1))
    for place in range(factor):
        where = (place + 0.5) / factor - 0.5
        for pixel in range(-REACH, REACH + 1):
            a = attributes.get_float("cubic_coeff_a", -0.75)
            away = abs(where - pixel)
            weights[place, pixel + REACH] = (
                max(0.0, 1.0 - away) if mode == "linear" else _cubic(away, a)
            )
    return weights


def _cubic(x: float, a: float) -> float:
    """The kernel of cubic convolution (R. Keys, 1981), at a distance."""
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def _chain(resize: ir.Node) -> list[ir.Node]:
    """The nodes behind, each the only reader of the one before, that keep height and width."""
    chain: list[ir.Node] = []
    value = resize.outputs[0]
    while not value.is_graph_output() and len(readers := list(value.uses())) == 1:
        node = readers[0].node
        if node.inputs[0] is not value or not (_is_same_size(node) or _is_pointwise(node)):
            break
        if not chain and not is_onnx(node, "Conv"):
            break
        chain.append(node)
        value = node.outputs[0]
    return chain


def _is_pointwise(node: ir.Node) -> bool:
    rest = [value for value in node.inputs[1:] if value is not None]
    return is_onnx(node, *_POINTWISE) and all(constant(value) is not None for value in rest)


def _is_same_size(node: ir.Node) -> bool:
    """Whether it is a convolution with constant weights whose output is as large as its input."""
    if not is_onnx(node, "Conv"):
        return False
    attributes = node.attributes
    weights = constant(node.inputs[1], _MOST)
    rest = [value for value in node.inputs[2:] if value is not None]
    if weights is None or weights.ndim != 4 or any(constant(value) is None for value in rest):
        return False
    height, width = weights.shape[2:]
    return (
        height % 2 == width % 2 == 1
        and attributes.get_string("auto_pad", "NOTSET") == "NOTSET"
        and list(attributes.get_ints("pads", [0] * 4)) == [height // 2, width // 2] * 2
        and set(attributes.get_ints("strides", [1])) == {1}
        and set(attributes.get_ints("dilations", [1])) == {1}
    )


def _has_no_width(node: ir.Node) -> bool:
    if _is_pointwise(node):
        return True
    return _kernel(node) == (1, 1) and node.attributes.get_int("group", 1) == 1


def _kernel(node: ir.Node) -> tuple[int, int]:
    height, width = array_of(node.inputs[1]).shape[2:]
    return height, width


def _channels(chain: Sequence[ir.Node]) -> int:
    last = next(node for node in reversed(chain) if is_onnx(node, "Conv"))
    return int(array_of(last.inputs[1]).shape[0])


def array_of(value: ir.Value | None) -> Array:
    """The weights of a convolution of a place."""
    array = constant(value, _MOST)
    assert array is not None
    return array
