"""`copy.deepcopy` of a tensor: the tracer bakes its values in, the new exporter fails."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from modelport.capture.rewriters.library._common import is_tracing, rewrites
from modelport.capture.rewriters.report import Context
from modelport.capture.torch_private.fakes import is_fake


@rewrites("torch.Tensor.__deepcopy__")
def deepcopy(ctx: Context, tensor: Tensor, memo: dict[int, Any]) -> Tensor:
    """Clones a tensor of the graph; torch copies modules meanwhile, which is left as it is."""
    recorded = is_tracing() or is_fake(tensor)
    if not recorded or isinstance(tensor, torch.nn.Parameter):
        return ctx.keep(tensor, memo)  # type: ignore[no-any-return]
    if id(tensor) not in memo:
        memo[id(tensor)] = tensor.clone()
    return memo[id(tensor)]  # type: ignore[no-any-return]
