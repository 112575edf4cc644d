"""`logsigmoid` far below zero, where the exporters' Log of Sigmoid gives minus infinity."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from modelport.capture.rewriters.library._common import rewrites
from modelport.capture.rewriters.report import Context


@rewrites("torch.nn.functional.logsigmoid")
def logsigmoid(ctx: Context, input: Tensor) -> Tensor:
    """Returns ``-log(1 + exp(-x))``, as ONNX's Softplus has it without overflow."""
    return -F.softplus(-input)
