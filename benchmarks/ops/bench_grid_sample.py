"""grid_sample, float32, against torch's: minima of calls"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from benchmarks.interleave import Row
from benchmarks.ops.beside import beside
from benchmarks.ops.threads import thread_counts
from modelport.ops.library.grid_sample.op import MODES, grid_sample

SHAPES = ((1, 64, 64, 64), (1, 3, 256, 256))


def run() -> list[Row]:
    torch.manual_seed(0)
    rows = []
    for threads in thread_counts():
        for shape in SHAPES:
            x, grid = torch.rand(shape), _turned(shape)
            for mode in MODES:
                for padding in ("zeros", "border"):
                    how = {"mode": mode, "padding_mode": padding, "align_corners": False}
                    rows += beside(
                        f"{mode}, {padding}, {list(shape)}, {threads} thread{'s' * (threads > 1)}",
                        lambda x=x, grid=grid, how=how: grid_sample(x, grid, **how),
                        "torch",
                        lambda x=x, grid=grid, how=how: F.grid_sample(x, grid, **how),
                    )
    return rows


def _turned(shape: tuple[int, ...]) -> torch.Tensor:
    """Places of a picture that is turned a little, and unsteady by a pixel or so."""
    turn = torch.tensor([[[0.9, 0.1, 0.05], [-0.1, 0.9, 0.0]]])
    grid = F.affine_grid(turn, list(shape), align_corners=False)
    return grid + torch.randn(grid.shape) * 0.01
