"""Upsampling by a whole factor, merged with the convolution behind it.

Linear and cubic interpolation by a whole factor f is a convolution, too: in each of the f x f
places between two pixels, an output is a fixed sum over neighbouring pixels. So the convolution
behind it can read the small picture: its f x f places are channels of one convolution with a
smaller kernel, which DepthToSpace puts into place. What has no width (activations, convolutions of
1x1) stays before that, in groups.

Near the border both differ: interpolation repeats the outermost pixels, the convolution reads
zeros. Strips along the border are computed as they were, and joined where channels are fewest.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import common

from modelport.arrays import Array
from modelport.ir.constants import add_constant
from modelport.ir.domains import is_onnx
from modelport.model import Model
from modelport.passes.base import Rewrite, apply_passes
from modelport.passes.expand import Writer
from modelport.passes.upsample_conv_sites import REACH, Site, array_of, find_site

_WHOLE = np.iinfo(np.int64).max
"""An end of a slice beyond any axis."""


def merge_upsampling(model: Model) -> Model:
    """Lets convolutions behind an upsampling by a whole factor read the small picture.

    Args:
        model: The model; it stays as it is.

    Returns:
        The model itself where there is none that gets cheaper, else a rewritten copy that computes
        the same for all sizes, the border included.

    Raises:
        PassError: The graph is not sound.
    """
    if not any(find_site(node) for node in model.ir.graph):
        return model
    copy = model.copy()
    apply_passes([MergeUpsampling(), common.RemoveUnusedNodesPass()], copy.ir)
    common.NameFixPass()(copy.ir)
    return copy


class MergeUpsampling(Rewrite):
    """Merges Resize nodes with the convolutions behind them."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrites the main graph."""
        opset = model.graph.opset_imports.get("", 0)
        resizes = [node for node in model.graph if is_onnx(node, "Resize")]
        sites = [site for node in resizes if (site := find_site(node))]
        found = {site.resize for site in sites}
        for node in resizes:
            why = "" if node in found else "no convolution behind it gets cheaper"
            self.decided(node, "one with the convolutions behind it", refused=why)
        for site in sites:
            write = Writer(site.last, opset)
            write.replace([_merged(write, model.graph, site)])
        return ir.passes.PassResult(model, bool(sites))


def _merged(write: Writer, graph: ir.Graph, site: Site) -> ir.Value:
    """Writes the last node's output: the middle by the merged convolution, the border as it was."""
    result: ir.Value = _middle(write, graph, site)
    height, width = site.border
    if width:
        first, last = _strips(write, site, 3)
        result = write("Concat", first, _cut(write, result, 3, width, -width), last, axis=3)
    if height:
        first, last = _strips(write, site, 2)
        result = write("Concat", first, _cut(write, result, 2, height, -height), last, axis=2)
    return result


def _middle(write: Writer, graph: ir.Graph, site: Site) -> ir.Value:
    """Writes the last node's output as if the picture went on beyond the border."""
    rows, columns = site.axes
    places = rows.factor**2
    pads = [0, 0, rows.before, columns.before, 0, 0, rows.after, columns.after]
    value: ir.Value = write("Pad", site.resize.inputs[0], pads, mode="edge")
    for index, node in enumerate(site.chain):
        inside = is_onnx(node, "Conv") and index < site.before
        if index == site.before:
            value = write("DepthToSpace", value, blocksize=rows.factor, mode="DCR")
        if not inside:
            value = _again(write, node, value)
            continue
        array = array_of(node.inputs[1])
        weights = np.concatenate([array] * places) if index else _merged_weights(site, array)
        operands = [add_constant(graph, f"{node.inputs[1].name}_merged", weights)]  # type: ignore[union-attr]
        if len(node.inputs) > 2 and node.inputs[2] is not None:
            bias = np.tile(array_of(node.inputs[2]), places)
            operands.append(add_constant(graph, f"{node.inputs[2].name}_merged", bias))
        value = write("Conv", value, *operands, group=places if index else 1)
    if site.before == len(site.chain):
        value = write("DepthToSpace", value, blocksize=rows.factor, mode="DCR")
    return value


def _merged_weights(site: Site, weights: Array) -> Array:
    """The merged convolution's: [place of row, place of column, output] as channels."""
    rows, columns = site.axes
    merged = np.einsum(
        "pyj,qxl,ocjl->pqocyx",
        rows.kernels,
        columns.kernels,
        weights.astype(np.float64),
        optimize=True,
    )
    return np.asarray(merged.reshape(-1, *merged.shape[3:]), weights.dtype)


def _strips(write: Writer, site: Site, axis: int) -> tuple[ir.Value, ir.Value]:
    """Writes the border at the beginning and at the end of an axis, as the nodes given compute it.

    Of a picture that is smaller than both, the first has what there is, and the second the rest.
    """
    border = site.border[axis - 2]
    # The far end of a strip is none of the picture: its border, and what interpolation reads.
    wide = 2 * border
    small = math.ceil(wide / site.axes[0].factor) + REACH
    ends = []
    for is_last in (False, True):
        value = _end(write, site.resize.inputs[0], axis, small, is_last=is_last)
        value = _again(write, site.resize, value)
        value = _end(write, value, axis, wide, is_last=is_last)
        for node in site.chain:
            value = _again(write, node, value)
        limits = (border, _WHOLE) if is_last else (0, border)
        ends.append(_cut(write, value, axis, *limits))
    return ends[0], ends[1]


def _again(write: Writer, node: ir.Node, value: ir.Value) -> ir.Value:
    """Writes a node once more, on another first input."""
    attributes: dict[str, Any] = dict(node.attributes)
    result: ir.Value = write(node.op_type, value, *node.inputs[1:], **attributes)
    return result


def _end(
    write: Writer, value: ir.Value | None, axis: int, count: int, *, is_last: bool
) -> ir.Value:
    """Writes the first or the last elements of an axis, or all where there are fewer."""
    return _cut(write, value, axis, *((-count, _WHOLE) if is_last else (0, count)))


def _cut(write: Writer, value: ir.Value | None, axis: int, begin: int, end: int) -> ir.Value:
    result: ir.Value = write("Slice", value, [begin], [end], [axis])
    return result
