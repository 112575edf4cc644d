"""Counts of the writes into a tensor."""

from __future__ import annotations

import torch

from modelport.capture.torch_private.access import resolve


def version(tensor: torch.Tensor) -> int:
    """The number of times that a tensor was written into, where torch counts them."""
    resolve("tensor version")
    return -1 if tensor.is_inference() else tensor._version
