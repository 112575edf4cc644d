"""Resizing in forms that TensorRT lacks, where the sizes are known: matrices and selections."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from modelport.backends.tensorrt.legalize.interpolation import AxisResize
from modelport.ir.constants import constant
from modelport.ir.values import input_of
from modelport.passes.expand import Expansion, Writer

_TAKEN = ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners", "tf_half_pixel_for_nn")
_FLOATS = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16)


class ExpandResizing(Expansion):
    """`Resize` with antialiasing, a part of the picture, kept proportions, half_pixel_symmetric
    coordinates, cubic along other axes than the last two, or of integers.

    Along an axis, interpolation is a product with a matrix, and the nearest a selection. Sizes
    along the axes that change must be known.
    """

    operators = ("Resize",)
    lacking = "this form of Resize"
    instead = "products with constant matrices, or selections, axis by axis"

    def expand(self, node: ir.Node, write: Writer) -> Sequence[ir.Value | None] | None:
        """Writes the products."""
        x = node.inputs[0]
        if x is None or x.dtype is None or not _is_refused(node, x):
            return None
        axes = axis_resizes(node, x)
        if axes is None:
            return None
        result, count = x, len(x.shape or ())
        is_nearest = node.attributes.get_string("mode", "nearest") == "nearest"
        if not is_nearest and x.dtype not in _FLOATS:
            return None
        for axis, item in axes.items():
            if is_nearest:
                result = write("Gather", result, item.nearest(), axis=axis)
            else:
                matrix = write.constant(item.matrix().astype(x.dtype.numpy()))
                result = _multiplied(write, result, matrix, axis, count)
        if node.attributes.get_string("coordinate_transformation_mode") == "tf_crop_and_resize":
            result = _extrapolated(node, write, result, axes, count)
        return [result]


def _is_refused(node: ir.Node, x: ir.Value) -> bool:
    attributes = node.attributes
    if attributes.get_int("antialias", 0) or x.dtype not in (*_FLOATS, ir.DataType.INT8):
        return True
    if attributes.get_string("keep_aspect_ratio_policy", "stretch") != "stretch":
        return True
    if attributes.get_string("coordinate_transformation_mode", "half_pixel") not in _TAKEN:
        return True
    count = len(x.shape or ())
    if attributes.get_string("mode", "nearest") != "cubic":
        return False
    changed = axis_resizes(node, x)
    return changed is not None and any(axis < count - 2 for axis in changed)


def axis_resizes(node: ir.Node, x: ir.Value) -> dict[int, AxisResize] | None:
    """How each axis that changes is resized; None where that is not known beforehand."""
    attributes = node.attributes
    if x.shape is None:
        return None
    axes = [axis % len(x.shape) for axis in attributes.get_ints("axes", range(len(x.shape)))]
    given = [x.shape[axis] for axis in axes]
    scales, wanted = constant(input_of(node, 2)), constant(input_of(node, 3))
    region = constant(input_of(node, 1))
    cropping = attributes.get_string("coordinate_transformation_mode") == "tf_crop_and_resize"
    if cropping and region is None:
        return None
    if wanted is not None and wanted.size:
        found = _by_sizes(
            given, wanted.tolist(), attributes.get_string("keep_aspect_ratio_policy", "stretch")
        )
    elif scales is not None and scales.size:
        found = [
            (math.floor(size * float(scale)), float(scale))
            if isinstance(size, int)
            else (None, float(scale))
            for size, scale in zip(given, scales, strict=True)
        ]
    else:
        return None
    made = {}
    for place, (axis, size, (out, scale)) in enumerate(zip(axes, given, found, strict=True)):
        part = (0.0, 1.0)
        if cropping and region is not None:
            part = float(region[place]), float(region[place + len(axes)])
        if scale == 1.0 and (out == size or out is None) and part == (0.0, 1.0):
            continue
        if not isinstance(size, int) or out is None:
            return None
        made[axis] = AxisResize(
            size,
            out,
            scale,
            attributes.get_string("mode", "nearest"),
            attributes.get_string("coordinate_transformation_mode", "half_pixel"),
            attributes.get_string("nearest_mode", "round_prefer_floor"),
            attributes.get_float("cubic_coeff_a", -0.75),
            bool(attributes.get_int("exclude_outside", 0)),
            bool(attributes.get_int("antialias", 0)),
            part,
        )
    return made


def _by_sizes(
    given: Sequence[object], wanted: Sequence[int], policy: str
) -> list[tuple[int | None, float]]:
    """The size and the scale of each axis."""
    pairs = [(size, int(out)) for size, out in zip(given, wanted, strict=True)]
    if policy == "stretch":
        return [
            (out, out / size) if isinstance(size, int) else (None, math.nan) for size, out in pairs
        ]
    ratios = [out / size for size, out in pairs if isinstance(size, int)]
    if len(ratios) < len(pairs):
        return [(None, math.nan)] * len(pairs)
    scale = min(ratios) if policy == "not_larger" else max(ratios)
    return [(math.floor(scale * size + 0.5), scale) for size, _ in pairs if isinstance(size, int)]


def _multiplied(write: Writer, x: ir.Value, matrix: ir.Value, axis: int, count: int) -> ir.Value:
    """A product along an axis."""
    if axis == count - 2:
        made: ir.Value = write("MatMul", matrix, x)
        return made
    turned = write("Transpose", matrix, perm=[1, 0])
    order = list(range(count))
    order[axis], order[-1] = order[-1], order[axis]
    if axis == count - 1:
        made = write("MatMul", x, turned)
    else:
        product = write("MatMul", write("Transpose", x, perm=order), turned)
        made = write("Transpose", product, perm=order)
    return made


def _extrapolated(
    node: ir.Node, write: Writer, x: ir.Value, axes: dict[int, AxisResize], count: int
) -> ir.Value:
    assert x is not None
    dtype = node.inputs[0].dtype if node.inputs[0] is not None else None
    assert dtype is not None
    outside = np.zeros([1] * count, bool)
    for axis, item in axes.items():
        along = [1] * count
        along[axis] = -1
        outside = outside | item.outside().reshape(along)
    if not outside.any():
        return x
    value = np.asarray(node.attributes.get_float("extrapolation_value", 0.0), dtype.numpy())
    made: ir.Value = write("Where", write.constant(outside), value, x)
    return made
