"""Assignment of a number under a boolean mask that stands beside other indices.

``x[mask, 1] = v`` comes out wrong from the tracer; ``x[..., mask] = v`` fails in the new exporter
and gives an invalid graph with the tracer. (``x[:, 1][mask] = v`` stays wrong with the tracer: an
assignment to a view is lost.)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from modelport.capture.rewriters.library._common import rewrites
from modelport.capture.rewriters.report import Context


@rewrites("torch.Tensor.__setitem__")
def setitem(ctx: Context, tensor: Tensor, index: Any, value: Any) -> None:
    """Assigns a choice between the old and the new values to what the other indices leave."""
    original_index = index
    index = index if isinstance(index, tuple) else (index,)
    masks = [place for place, item in enumerate(index) if _is_mask(item)]
    single = not isinstance(value, Tensor) or value.ndim == 0
    if not single or len(masks) != 1 or len(index) < 2 or not _is_simple(index):
        ctx.keep(tensor, original_index, value)
        return
    mask = index[masks[0]]
    rest = (*index[: masks[0]], *[slice(None)] * mask.ndim, *index[masks[0] + 1 :])
    before = tensor[rest]
    behind = _dimensions_behind(tensor, index, masks[0])
    mask = mask.reshape(*mask.shape, *[1] * behind)
    new = torch.where(mask, torch.as_tensor(value, dtype=tensor.dtype), before)
    ctx.original(tensor, rest, new)


def _is_mask(item: Any) -> bool:
    return isinstance(item, Tensor) and item.dtype == torch.bool and item.ndim > 0


def _is_simple(index: tuple[Any, ...]) -> bool:
    """Only numbers, slices and one Ellipsis stand beside the mask."""
    return all(
        _is_mask(item) or item is Ellipsis or isinstance(item, int | slice) for item in index
    ) and not any(isinstance(item, bool) for item in index)


def _dimensions_behind(tensor: Tensor, index: tuple[Any, ...], place: int) -> int:
    """Number of dimensions of ``tensor[rest]`` behind those of the mask."""
    behind = index[place + 1 :]
    slices = sum(isinstance(item, slice) for item in behind)
    if any(item is Ellipsis for item in index[:place]):
        return slices
    used = sum(item.ndim if _is_mask(item) else int(item is not Ellipsis) for item in index)
    return slices + tensor.ndim - used
