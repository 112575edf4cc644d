"""``workers``: on which threads a kernel's pieces run."""

from __future__ import annotations

import threading

import torch
from torch import Tensor

import modelport


@modelport.operator("trial::workers", kernels=["kernel.cpp"])
def workers(x: Tensor, *, fails_at: int = -1) -> Tensor:
    """For every element the number of the thread that it was visited by."""
    if fails_at >= 0:
        raise ValueError(f"element {fails_at} was to fail")
    return torch.full(x.shape, threading.get_native_id(), dtype=torch.int64)


@workers.shapes
def _(x: modelport.TensorInfo, *, fails_at: int) -> modelport.TensorInfo:
    return x.like(dtype="int64")
