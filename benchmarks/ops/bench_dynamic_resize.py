"""dynamic_resize, float32, against torch's interpolate: minima of calls"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from benchmarks.interleave import Row
from benchmarks.ops.beside import beside
from benchmarks.ops.threads import thread_counts
from modelport.ops.library.dynamic_resize.op import MODES, dynamic_resize

CASES = (((1, 3, 256, 256), 3.0), ((1, 64, 56, 56), 2.0), ((1, 3, 1024, 1024), 0.5))


def run() -> list[Row]:
    torch.manual_seed(0)
    rows = []
    for threads in thread_counts():
        for shape, factor in CASES:
            x, scales = torch.rand(shape), torch.tensor([factor, factor])
            for mode in MODES:
                rows += beside(
                    f"{mode}, {list(shape)} by {factor:g}, {threads} thread{'s' * (threads > 1)}",
                    lambda x=x, scales=scales, mode=mode: dynamic_resize(x, scales, mode=mode),
                    "torch",
                    lambda x=x, factor=factor, mode=mode: F.interpolate(
                        x, scale_factor=factor, mode=mode, recompute_scale_factor=False
                    ),
                )
    return rows
