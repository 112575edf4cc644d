"""spandrel's padding to a multiple of the window, with dynamic height and width.

Whether anything is to be padded is decided in Python: the exporters fix what holds for the example,
and the graph fails at a size of the other kind.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from modelport.capture.rewriters.library._common import is_traced, rewrites
from modelport.capture.rewriters.report import Context


@rewrites("spandrel.architectures.__arch_helpers.padding.pad_to_multiple")
def pad_to_multiple(
    ctx: Context, tensor: Tensor, multiple: int, *, mode: str, value: float = 0.0
) -> Tensor:
    """Pads [N, C, H, W] below and on the right, by nothing where the sizes divide."""
    sizes = tensor.shape[2:]
    if not any(map(is_traced, sizes)):
        return ctx.keep(tensor, multiple, mode=mode, value=value)  # type: ignore[no-any-return]
    below, right = (_missing(size, multiple) for size in sizes)
    return F.pad(tensor, (0, right, 0, below), mode, value)


def _missing(size: Any, multiple: int) -> Any:
    return (multiple - size % multiple) % multiple
