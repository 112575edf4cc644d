"""timm's MobileViTs (S. Mehta and M. Rastegari, 2021 and 2022), with dynamic height and width.

Whether a feature map is cut into whole patches, or must be resized for it, is decided in Python:
the exporters fix what holds for the example.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from modelport.capture.rewriters.library._common import is_traced, rewrites, steps_over
from modelport.capture.rewriters.report import Context


@rewrites("timm.models.mobilevit.MobileVitBlock.forward", capture="dynamo")
def first(ctx: Context, block: Any, x: Tensor) -> Tensor:
    """Resizes in front of the patches, and back behind them, to the same size where they fit."""
    height_and_width = x.shape[2:]
    if not any(map(is_traced, height_and_width)):
        return ctx.keep(block, x)  # type: ignore[no-any-return]

    def fit(_module: Any, _inputs: Any, features: Tensor) -> Tensor:
        return _resized(features, _in_patches(features, block.patch_size), align_corners=False)

    def back(_module: Any, inputs: tuple[Tensor]) -> tuple[Tensor]:
        return (_resized(inputs[0], height_and_width, align_corners=False),)

    with (
        block.conv_1x1.register_forward_hook(fit),
        block.conv_proj.register_forward_pre_hook(back),
    ):
        return ctx.original(block, x)  # type: ignore[no-any-return]


@rewrites("timm.models.mobilevit.MobileVitV2Block.forward", capture="dynamo")
def second(ctx: Context, block: Any, x: Tensor) -> Tensor:
    """Resizes what it is given, to the same size where patches fit."""
    if not any(map(is_traced, x.shape[2:])):
        return ctx.keep(block, x)  # type: ignore[no-any-return]
    fitting = _resized(x, _in_patches(x, block.patch_size), align_corners=True)
    return ctx.original(block, fitting)  # type: ignore[no-any-return]


def _in_patches(x: Tensor, patch: tuple[int, int]) -> list[Any]:
    """The least height and width of whole patches that are no smaller."""
    return [steps_over(size, step) * step for size, step in zip(x.shape[2:], patch, strict=True)]


def _resized(x: Tensor, size: Any, *, align_corners: bool) -> Tensor:
    return F.interpolate(x, size, mode="bilinear", align_corners=align_corners)
