"""torchvision's detectors, of a picture of dynamic height and width and any number of boxes.

While traced they compute the picture's size in float32 where they otherwise take Python's numbers:
at some sizes the graph's picture is a row or column smaller, **wrong** boxes follow. Whether there
are any boxes they decide in Python, and the graph fails where there are none.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from modelport.capture.rewriters.library._common import rewrites
from modelport.capture.rewriters.report import Context


@rewrites("torchvision.models.detection.transform._resize_image_and_masks", capture="trace")
def resize(
    ctx: Context,
    image: Tensor,
    self_min_size: int,
    self_max_size: int,
    target: Any = None,
    fixed_size: Any = None,
) -> tuple[Tensor, Any]:
    """Resizes [C, H, W] so that the shorter side has the least size, the longer one at most the
    largest; in float64, as Python computes.
    """
    if target is not None or fixed_size is not None:
        resized: tuple[Tensor, Any] = ctx.keep(
            image, self_min_size, self_max_size, target, fixed_size
        )
        return resized
    # The tracer has a tensor for each size. A tensor without axes it takes for a Python number, and
    # makes float32 of it; a number over a tensor is the number times one over it, rounded twice.
    sizes: Any = torch.stack(tuple(image.shape[-2:])).double()  # type: ignore[arg-type]
    least, largest = torch.tensor([[self_min_size], [self_max_size]], dtype=torch.float64)
    scale = torch.minimum(least / sizes.amin(0, True), largest / sizes.amax(0, True))
    height, width = (sizes * scale).floor().long().unbind()
    size: Any = (height, width)
    return F.interpolate(image[None], size, mode="bilinear", align_corners=False)[0], target


@rewrites("torchvision.models.detection._utils.BoxCoder.decode", capture="trace")
def decode(ctx: Context, coder: Any, rel_codes: Tensor, boxes: Any) -> Tensor:
    """Boxes [N, classes, 4] from offsets [N, classes * 4] to [N, 4] of all pictures."""
    if rel_codes.ndim != 2:
        kept: Tensor = ctx.keep(coder, rel_codes, boxes)
        return kept
    found: Tensor = coder.decode_single(rel_codes, torch.cat(boxes))
    # Of nothing, no runtime knows how many there are to be in each row.
    return found.reshape(-1, int(rel_codes.shape[1]) // 4, 4)
