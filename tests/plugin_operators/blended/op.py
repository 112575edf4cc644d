"""An operator that can be a Python plugin, with attributes of every kind."""

from typing import Any

from torch import Tensor

import modelport

DTYPES = ("float32", "float16")


@modelport.operator("plugged::blended", kernels=["kernel.cu"], dtypes=DTYPES)
def blended(
    x: Tensor,
    y: Tensor,
    *,
    share: float,
    sizes: list[int] = (1, 2),  # type: ignore[assignment]
    shares: list[float] = (0.5,),  # type: ignore[assignment]
    whole: bool = False,
    name: str = "plain",
) -> Tensor:
    """A blend of x and y, [n, k], as often as sizes say."""
    return (x * share + y * (1 - share)).repeat(sizes[0], sizes[1])


@blended.shapes
def _(x: Any, y: Any, *, sizes: Any, **_: Any) -> modelport.TensorInfo:
    return x.like([x.shape[0] * sizes[0], 2 * x.shape[1] // 2 * sizes[1]])
