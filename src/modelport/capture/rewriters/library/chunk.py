"""`chunk` of a dynamic dimension, on which the new exporter fails."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor

from modelport.capture.rewriters.library._common import example_of, rewrites
from modelport.capture.rewriters.report import Context


@rewrites("torch.chunk", "torch.Tensor.chunk", capture="dynamo")
def chunk(ctx: Context, input: Tensor, chunks: int, dim: int = 0) -> Any:
    """Slices; there are as many as for the example, and the last takes what is left."""
    size = input.shape[dim]
    if not isinstance(size, torch.SymInt):
        return ctx.keep(input, chunks, dim)
    length = (size + (chunks - 1)) // chunks
    example_length = -(-example_of(size) // chunks)
    count = -(-example_of(size) // example_length)
    starts = [torch.sym_min(index * length, size) for index in range(count)] + [size]
    return tuple(
        input.narrow(dim, start, stop - start) for start, stop in itertools.pairwise(starts)
    )
