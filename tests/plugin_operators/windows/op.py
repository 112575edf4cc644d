"""An operator that has all that a plugin can have."""

from typing import Any

import torch
from torch import Tensor

import modelport

DTYPES = ("float32", "float16", "int32")


@modelport.operator("plugged::windows", kernels=["kernel.cu"], dtypes=DTYPES)
def windows(
    x: Tensor,
    factor: Tensor | None = None,
    shift: Tensor | None = None,
    *,
    size: int = 2,
    pads: list[int] = (0, 0),  # type: ignore[assignment]
    mode: str = "all",
    share: float = 0.1,
    whole: bool = False,
) -> tuple[Tensor, Tensor]:
    """Sums of windows of x, [n], and the places of those above 0.

    Before and after x are pads zeros; what is left over for no whole window is dropped, but there
    is at least one window.
    """
    if mode not in ("all", "even"):
        raise ValueError(mode)
    wide = torch.nn.functional.pad(x.double(), list(pads))
    count = max(wide.shape[0] // size, 1)
    wide = torch.nn.functional.pad(wide, [0, max(count * size - wide.shape[0], 0)])
    sums = wide[: count * size].view(count, size)
    sums = sums[:, ::2].sum(1) if mode == "even" else sums.sum(1)
    if not whole:
        sums = sums * share
    if factor is not None:
        sums = sums * float(factor)
    if shift is not None:
        sums = sums + float(shift)
    return sums.to(x.dtype), (sums > 0).nonzero()[:, 0].int()


@windows.shapes
def _(
    x: modelport.TensorInfo,
    factor: modelport.TensorInfo | None,
    shift: modelport.TensorInfo | None,
    *,
    size: int,
    pads: Any,
    **_: Any,
) -> tuple[modelport.TensorInfo, modelport.TensorInfo]:
    if size < 1 or len(pads) != 2:
        raise modelport.OperatorError(f"windows: the size is {size}, there are {len(pads)} pads")
    (length,) = x.shape
    count = max((length + pads[0] + pads[1]) // size, 1)
    places = modelport.DATA_DEPENDENT.at_most(count)
    return x.like([count]), modelport.TensorInfo([places], "int32")


@windows.cases
def _(draw: Any) -> Any:
    dtype = draw.choice(DTYPES)
    # Whole numbers, so that sums are exact in every type.
    x = draw.tensor([draw.size(0, 40)], "int32", -4, 4).to(getattr(torch, dtype))
    factor = torch.tensor([2.0]) if draw.flag() else None
    shift = torch.tensor([1.0]) if draw.flag() else None
    attributes = {
        "size": draw.integer(1, 5),
        "pads": [draw.integer(0, 3), draw.integer(0, 3)],
        "mode": draw.choice(["all", "even"]),
        "whole": True,
    }
    if draw.flag() and dtype != "int32":
        attributes |= {"whole": False, "share": draw.choice([0.5, 0.25])}
    return (x, factor, shift), attributes
