"""``deform_conv2d``: a convolution whose taps are moved by offsets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from modelport.errors import OperatorError
from modelport.ops.decorator import operator
from modelport.ops.sampling import Draw
from modelport.ops.shapes import TensorInfo

DTYPES = ("float32", "float64", "float16", "bfloat16")


@operator("modelport::deform_conv2d", kernels=["kernel.cpp", "kernel.cu"], dtypes=DTYPES)
def deform_conv2d(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    groups: int = 1,
    offset_groups: int = 1,
) -> Tensor:
    """Deformable convolution, version 2 where there is a mask, else version 1.

    Dai et al., Deformable Convolutional Networks, 2017; Zhu et al., Deformable ConvNets v2, 2019.
    The order of the tensors is that of ``torch.ops.torchvision.deform_conv2d``. A tap outside of
    the picture counts as 0; between pixels it is interpolated bilinearly, at the border with 0.
    What has 16 bits is computed in float32.

    Args:
        input: [n, c, height, width].
        weight: [outputs, c / groups, kh, kw].
        offset: [n, 2 * offset_groups * kh * kw, out_height, out_width], in pixels: for each
            offset group and tap the vertical, then the horizontal distance.
        mask: [n, offset_groups * kh * kw, out_height, out_width]: a factor for each tap.
        bias: [outputs].
        stride: Vertical and horizontal.
        padding: Vertical and horizontal, on both sides.
        dilation: Vertical and horizontal.
        groups: Groups of channels; ONNX needs it as an attribute, so that it is not taken from
            the shape of the weight.
        offset_groups: Groups of channels that have offsets (and a mask) of their own.

    Returns:
        [n, outputs, out_height, out_width], in the dtype of the input.
    """
    wide = torch.float64 if input.dtype is torch.float64 else torch.float32
    taps = _taps(input.to(wide), weight.shape[2:], offset.to(wide), stride, padding, dilation)
    if mask is not None:
        taps = taps * mask.to(wide).view(*taps.shape[:2], 1, *taps.shape[3:])
    n, outputs = input.shape[0], weight.shape[0]
    columns = taps.reshape(n, groups, weight[0].numel(), offset.shape[2] * offset.shape[3])
    kernels = weight.to(wide).view(groups, outputs // groups, weight[0].numel())
    result = torch.einsum("ngkp,gok->ngop", columns, kernels)
    result = result.reshape(n, outputs, *offset.shape[2:])
    if bias is not None:
        result = result + bias.to(wide).view(1, outputs, 1, 1)
    return result.to(input.dtype)


def _taps(
    input: Tensor,
    kernel: Sequence[int],
    offset: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> Tensor:
    """The interpolated pixels: [n, offset group, channel, tap, out_height, out_width]."""
    n, channels, height, width = input.shape
    count = kernel[0] * kernel[1]
    groups = offset.shape[1] // (2 * count)
    distances = offset.view(n, groups, count, 2, *offset.shape[2:])
    starts = [
        torch.arange(size, dtype=input.dtype, device=input.device) * step - pad
        for size, step, pad in zip(offset.shape[2:], stride, padding, strict=True)
    ]
    steps = [
        torch.arange(size, dtype=input.dtype, device=input.device) * gap
        for size, gap in zip(kernel, dilation, strict=True)
    ]
    rows = steps[0].repeat_interleave(kernel[1]).view(-1, 1, 1) + starts[0].view(-1, 1)
    columns = steps[1].repeat(kernel[0]).view(-1, 1, 1) + starts[1]
    y, x = rows + distances[:, :, :, 0], columns + distances[:, :, :, 1]
    pixels = input.reshape(n, groups, channels // groups, height * width)
    total = torch.zeros((), dtype=input.dtype, device=input.device)
    for row in (y.floor(), y.floor() + 1):
        for column in (x.floor(), x.floor() + 1):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            place = torch.where(inside, row * width + column, 0).long()
            share = torch.where(inside, (1 - (y - row).abs()) * (1 - (x - column).abs()), 0)
            flat = place.flatten(2).unsqueeze(2).expand(-1, -1, channels // groups, -1)
            corner = pixels.gather(3, flat).view(n, groups, channels // groups, *y.shape[2:])
            total = total + torch.where(inside.unsqueeze(2), share.unsqueeze(2) * corner, 0)
    return total


@deform_conv2d.shapes
def _(
    input: TensorInfo,
    weight: TensorInfo,
    offset: TensorInfo,
    mask: TensorInfo | None,
    bias: TensorInfo | None,
    *,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    offset_groups: int,
) -> TensorInfo:
    for name, tensor in (("input", input), ("weight", weight), ("offset", offset)):
        if len(tensor.shape) != 4:
            raise OperatorError(
                f"deform_conv2d: the {name} has rank {len(tensor.shape)}",
                fix="it is a tensor of rank 4; a single picture is a batch of one",
            )
    for name, values, least in (
        ("stride", stride, 1),
        ("padding", padding, 0),
        ("dilation", dilation, 1),
    ):
        if len(values) != 2 or min(values) < least:
            raise OperatorError(
                f"deform_conv2d: the {name} is {list(values)}",
                fix=f"give two whole numbers, {least} or more: vertical and horizontal",
            )
    sizes = [
        (size + 2 * pad - gap * (tap - 1) - 1) // step + 1
        for size, pad, gap, tap, step in zip(
            input.shape[2:], padding, dilation, weight.shape[2:], stride, strict=True
        )
    ]
    # Sizes that are symbols are the kernel's to check.
    if any(isinstance(size, int) and size < 1 for size in sizes):
        raise OperatorError(
            f"deform_conv2d: nothing comes of an input {list(input.shape)}",
            why=f"a kernel {list(weight.shape[2:])} with the dilation {list(dilation)} reaches "
            f"over it and its padding {list(padding)}",
            fix="give a larger picture, or more padding",
        )
    return input.like([input.shape[0], weight.shape[0], *sizes])


@deform_conv2d.onnx(since=19)
def _(
    op: Any,
    input: Any,
    weight: Any,
    offset: Any,
    mask: Any,
    bias: Any,
    *,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    offset_groups: int,
) -> Any:
    return op.DeformConv(
        *(input, weight, offset, bias, mask),
        dilations=list(dilation),
        group=groups,
        offset_group=offset_groups,
        pads=[*padding, *padding],
        strides=list(stride),
    )


@deform_conv2d.backward
def _(gradient: Tensor, *inputs: Tensor | None, **attributes: Any) -> Any:
    with torch.enable_grad():
        leaves = [item if item is None else item.detach().requires_grad_() for item in inputs]
        output = deform_conv2d.reference(*leaves, **attributes)
    given = [item for item in leaves if item is not None]
    found = iter(torch.autograd.grad(output, given, gradient))
    return tuple(None if item is None else next(found) for item in leaves)


@deform_conv2d.cases
def _(draw: Draw) -> Any:
    groups, offset_groups = draw.choice([(1, 1), (1, 1), (2, 1), (1, 2), (2, 2), (3, 2), (2, 4)])
    channels = draw.choice([1, 2, 3]) * groups * offset_groups
    outputs = draw.integer(1, 20) * groups
    kernel = [draw.integer(1, 3), draw.integer(1, 3)]
    pairs = {
        name: [draw.integer(low, high), draw.integer(low, high)]
        for name, low, high in (("stride", 1, 3), ("padding", 0, 2), ("dilation", 1, 2))
    }
    out = [draw.integer(1, 7), draw.integer(1, 7)]
    # The picture that gives outputs of this size; what is left over at its end is not reached.
    size = [
        max((out[i] - 1) * pairs["stride"][i] + pairs["dilation"][i] * (kernel[i] - 1) + 1, 1)
        - 2 * pairs["padding"][i]
        + draw.integer(0, pairs["stride"][i] - 1)
        for i in range(2)
    ]
    for i in range(2):
        if size[i] < 1:
            more = -(-(1 - size[i]) // pairs["stride"][i])
            size[i] += more * pairs["stride"][i]
            out[i] += more
    n, taps = draw.size(0, 3), kernel[0] * kernel[1]
    dtype = draw.choice(DTYPES)
    inputs = [
        draw.tensor([n, channels, *size], dtype),
        draw.tensor([outputs, channels // groups, *kernel], dtype),
        draw.tensor([n, 2 * offset_groups * taps, *out], dtype, -3, 3),
        draw.tensor([n, offset_groups * taps, *out], dtype, 0, 1) if draw.flag() else None,
        draw.tensor([outputs], dtype) if draw.flag() else None,
    ]
    return inputs, {**pairs, "groups": groups, "offset_groups": offset_groups}
