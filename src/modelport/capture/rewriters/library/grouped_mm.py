"""`grouped_mm`, by which mixtures of experts multiply each row with its own expert's matrix; it is
in neither exporter.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from modelport.capture.rewriters.library._common import rewrites
from modelport.capture.rewriters.report import Context


@rewrites("transformers.integrations.moe._grouped_mm")
def grouped_mm_of_transformers(ctx: Context, input: Tensor, weight: Tensor, offs: Tensor) -> Tensor:
    """The same, for which transformers has an operator of its own while a model is exported."""
    return grouped_mm(ctx, input.to(weight.dtype), weight, offs=offs)


@rewrites("torch.nn.functional.grouped_mm")
def grouped_mm(
    ctx: Context,
    mat_a: Tensor,
    mat_b: Tensor,
    *,
    offs: Tensor | None = None,
    bias: Tensor | None = None,
    out_dtype: torch.dtype | None = None,
) -> Tensor:
    """Rows [rows, K] times the matrices [groups, K, N] that the ends of the groups give them.

    Every row meets every matrix, and one product of each is kept: sizes do not depend on values,
    which TensorRT asks for, and no matrix is copied for each row.
    """
    if mat_a.dim() != 2 or mat_b.dim() != 3 or offs is None:
        return ctx.keep(mat_a, mat_b, offs=offs, bias=bias, out_dtype=out_dtype)  # type: ignore[no-any-return]
    places = torch.arange(mat_a.shape[0], device=mat_a.device).unsqueeze(1)
    group = (places >= offs).sum(1, keepdim=True)
    result: Any = mat_a.new_zeros(())
    for number in range(mat_b.shape[0]):
        result = result + torch.where(group == number, mat_a @ mat_b[number], 0.0)
    if bias is not None:
        result = result + bias
    return result if out_dtype is None else result.to(out_dtype)  # type: ignore[no-any-return]
