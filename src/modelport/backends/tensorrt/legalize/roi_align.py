"""Regions of feature maps, pooled to one size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from modelport.passes.expand import Expansion, Writer, looked_at

_FLOAT = ir.DataType.FLOAT


class ExpandRegions(Expansion):
    """`RoiAlign` with the mean of a fixed number of samples, by `GridSample`.

    The pictures lie one above the other, so that one `GridSample` looks at all of them. (Mask
    R-CNN, arXiv:1703.06870; a sample further than a pixel outside of the picture is 0.)
    """

    operators = ("RoiAlign",)
    lacking = "RoiAlign"
    instead = "samples of the picture (GridSample), and their means"

    def expand(self, node: ir.Node, write: Writer) -> Sequence[ir.Value | None] | None:
        """Writes the samples; the largest sample, and a number by the region's size, stay."""
        x, attributes = node.inputs[0], node.attributes
        samples = attributes.get_int("sampling_ratio", 0)
        if attributes.get_string("mode", "avg") != "avg" or samples < 1 or x is None:
            return None
        shape = write("Shape", x)
        images, channels, height, width = (write("Gather", shape, [axis]) for axis in range(4))
        pooled = [attributes.get_int("output_height", 1), attributes.get_int("output_width", 1)]
        rows, rows_inside = _places(node, write, (1, 3), height, pooled[0] * samples)
        columns, columns_inside = _places(node, write, (0, 2), width, pooled[1] * samples)
        image = write("Reshape", write("Cast", node.inputs[2], to=_FLOAT), [-1, 1])
        rows = write("Add", rows, write("Mul", image, write("Cast", height, to=_FLOAT)))
        pair = _pair(write, rows, columns)
        grid = write("Reshape", pair, [1, -1, pooled[1] * samples, 2])
        tall = write(
            "Reshape",
            write("Transpose", x, perm=[1, 0, 2, 3]),
            write("Concat", [1], channels, write("Mul", images, height), width, axis=0),
        )
        seen = looked_at(write, tall, grid)
        # [1, C, regions * rows, columns], and 0 where a sample is outside.
        inside = write(
            "Mul", write("Unsqueeze", rows_inside, [2]), write("Unsqueeze", columns_inside, [1])
        )
        flat = write("Reshape", inside, [1, 1, -1, pooled[1] * samples])
        kept = write("Mul", seen, write("CastLike", flat, seen))
        parts = [-1, pooled[0], samples, pooled[1], samples]
        # [C, regions, ...]: the number of channels may be open as well.
        cut = write("Reshape", kept, write("Concat", channels, parts, axis=0))
        return [write("Transpose", write("ReduceMean", cut, [3, 5], keepdims=0), perm=[1, 0, 2, 3])]


def _places(
    node: ir.Node, write: Writer, corners: tuple[int, int], size: ir.Value, count: int
) -> tuple[ir.Value, ir.Value]:
    """Where a region's samples lie along an axis, and whether inside, each [regions, count]."""
    attributes = node.attributes
    half = attributes.get_string("coordinate_transformation_mode", "half_pixel") == "half_pixel"
    scale = np.asarray(attributes.get_float("spatial_scale", 1.0), np.float32)
    begin, end = (
        write(
            "Mul",
            write("Cast", write("Gather", node.inputs[1], [corner], axis=1), to=_FLOAT),
            scale,
        )
        for corner in corners
    )
    if half:
        begin, end = (write("Sub", item, np.asarray(0.5, np.float32)) for item in (begin, end))
    extent = write("Sub", end, begin)
    if not half:
        extent = write("Max", extent, np.asarray(1, np.float32))
    parts = ((np.arange(count) + 0.5) / count).astype(np.float32)
    place = write("Add", begin, write("Mul", extent, parts))
    most = write("Cast", size, to=_FLOAT)
    low = write("GreaterOrEqual", place, np.asarray(-1, np.float32))
    inside = write("And", low, write("LessOrEqual", place, most))
    last = write("Sub", most, np.asarray(1, np.float32))
    clamped = write("Min", write("Max", place, np.asarray(0, np.float32)), last)
    return clamped, write("Cast", inside, to=_FLOAT)


def _pair(write: Writer, rows: ir.Value, columns: ir.Value) -> ir.Value:
    """Every row with every column: [regions, rows, columns, 2], x before y."""
    shape = write("Concat", write("Shape", rows), write("Shape", columns, start=1, end=2), axis=0)
    wide = write("Expand", write("Unsqueeze", columns, [1]), shape)
    high = write("Expand", write("Unsqueeze", rows, [2]), shape)
    pair: ir.Value = write(
        "Concat", write("Unsqueeze", wide, [3]), write("Unsqueeze", high, [3]), axis=3
    )
    return pair
