"""Deformable convolution: samples of the picture, and a convolution of what they see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from modelport.ir.values import input_of, sizes
from modelport.passes.expand import Expansion, Writer, looked_at

_FLOAT = ir.DataType.FLOAT


class ExpandDeformation(Expansion):
    """`DeformConv`, by `GridSample` and a convolution whose kernels have one element.

    (Dai et al., Deformable Convolutional Networks, 2017; Zhu et al., version 2, 2019.) The weight's
    shape must be known.
    """

    operators = ("DeformConv",)
    lacking = "DeformConv"
    instead = "samples of the picture (GridSample), and a convolution of them"

    def expand(self, node: ir.Node, write: Writer) -> Sequence[ir.Value | None] | None:
        """Writes the samples."""
        x, weight, offset = node.inputs[:3]
        shape = sizes(weight)
        if x is None or shape is None or len(shape) != 4:
            return None
        groups = node.attributes.get_int("offset_group", 1)
        taps = shape[2] * shape[3]
        out = write("Slice", write("Shape", offset), [2], [4])
        # The groups of offsets join the batch.
        split = write("Shape", x)
        channels = write("Div", write("Gather", split, [1]), groups)
        pictures = write(
            "Reshape", x, write("Concat", [-1], channels, write("Slice", split, [2], [4]), axis=0)
        )
        moved = write("Reshape", offset, write("Concat", [-1, taps, 2], out, axis=0))
        grid = _grid(node, write, moved, shape[2:], out)
        seen = looked_at(write, pictures, grid)
        columns = write("Reshape", seen, write("Concat", [-1], channels, [taps], out, axis=0))
        mask = input_of(node, 4)
        if mask is not None:
            factors = write("Reshape", mask, write("Concat", [-1, 1, taps], out, axis=0))
            columns = write("Mul", columns, factors)
        joined = write("Mul", write("Gather", split, [1]), taps)
        wide = write("Reshape", columns, write("Concat", [-1], joined, out, axis=0))
        kernels = write("Reshape", weight, [shape[0], shape[1] * taps, 1, 1])
        group = node.attributes.get_int("group", 1)
        bias = input_of(node, 3)
        return [write("Conv", wide, kernels, bias, group=group, kernel_shape=[1, 1])]


def _grid(
    node: ir.Node, write: Writer, moved: ir.Value, kernel: Sequence[int], out: ir.Value
) -> ir.Value:
    """The places of all taps: [batch * groups, taps * height, width, 2], x before y."""
    attributes = node.attributes
    strides = list(attributes.get_ints("strides", [1, 1]))
    pads = list(attributes.get_ints("pads", [0, 0, 0, 0]))
    dilations = list(attributes.get_ints("dilations", [1, 1]))
    taps = np.stack(np.meshgrid(*map(np.arange, kernel), indexing="ij"), -1).reshape(-1, 2)
    width = write("Gather", out, [1])
    parts = []
    for axis in (1, 0):
        steps = write("Range", 0, write("Gather", out, axis), 1)
        starts = write("Sub", write("Mul", steps, strides[axis]), pads[axis])
        own = (taps[:, axis] * dilations[axis]).reshape(1, -1, 1, 1)
        along = [1, 1, -1, 1] if axis == 0 else [1, 1, 1, -1]
        place = write("Cast", write("Add", write("Reshape", starts, along), own), to=_FLOAT)
        distance = write("Cast", write("Gather", moved, axis, axis=2), to=_FLOAT)
        parts.append(write("Unsqueeze", write("Add", distance, place), [4]))
    every = write("Concat", *parts, axis=4)
    # The number of pictures may be open, and so may be both sizes of the output.
    count = write("Shape", moved, start=0, end=1)
    grid: ir.Value = write("Reshape", every, write("Concat", count, [-1], width, [2], axis=0))
    return grid
