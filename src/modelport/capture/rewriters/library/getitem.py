"""Several index tensors at once: the tracer forgets that indices below zero count
from the end.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from modelport.capture.rewriters.library._common import rewrites
from modelport.capture.rewriters.report import Context


@rewrites("torch.Tensor.__getitem__", capture="trace")
def getitem(ctx: Context, tensor: Tensor, index: Any) -> Tensor:
    """Counts indices from the beginning before they are used."""
    if not isinstance(index, tuple) or sum(map(_is_index, index)) < 2:
        return ctx.keep(tensor, index)  # type: ignore[no-any-return]
    return ctx.original(  # type: ignore[no-any-return]
        tensor, tuple(_from_start(tensor, index, place) for place in range(len(index)))
    )


def _is_index(item: Any) -> bool:
    return isinstance(item, Tensor) and item.ndim > 0 and item.dtype in (torch.int64, torch.int32)


def _from_start(tensor: Tensor, index: tuple[Any, ...], place: int) -> Any:
    item = index[place]
    if not _is_index(item):
        return item
    size = tensor.shape[_axis(tensor, index, place)]
    return torch.where(item < 0, item + size, item)


def _axis(tensor: Tensor, index: tuple[Any, ...], place: int) -> int:
    """The dimension of the tensor that an item of the index is for."""
    if any(item is Ellipsis for item in index[:place]):
        return tensor.ndim - sum(map(_dimensions, index[place:]))
    return sum(map(_dimensions, index[:place]))


def _dimensions(item: Any) -> int:
    if item is None or item is Ellipsis:
        return 0
    is_mask = isinstance(item, Tensor) and item.dtype == torch.bool
    return item.ndim if is_mask else 1
