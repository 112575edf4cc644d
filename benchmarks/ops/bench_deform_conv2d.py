"""deform_conv2d, float32, 1x64x56x56 to 64, 3x3 with a mask: minima"""

from __future__ import annotations

import torch

from benchmarks.interleave import Row, interleave
from benchmarks.ops.native import naive_deform_conv2d, peak
from benchmarks.ops.threads import thread_counts
from modelport.ops.library.deform_conv2d.op import deform_conv2d

ROUNDS, NAIVE_ROUNDS = 150, 4
OPERATIONS = 2 * 64 * 64 * 9 * 56 * 56


def run() -> list[Row]:
    torch.manual_seed(0)
    x, weight = torch.randn(1, 64, 56, 56), torch.randn(64, 64, 3, 3) / 24
    offset, mask = torch.randn(1, 18, 56, 56) * 2, torch.rand(1, 9, 56, 56)

    def ours() -> torch.Tensor:
        return deform_conv2d(x, weight, offset, mask, padding=[1, 1])

    def naive() -> torch.Tensor:
        return naive_deform_conv2d(x, weight, offset, mask)

    torch.testing.assert_close(ours(), naive(), rtol=1e-4, atol=1e-4)
    rows = []
    for threads in thread_counts():
        most, operations = peak(threads)
        timings = interleave(
            {
                "ours": ours,
                "conv2d": lambda: torch.conv2d(x, weight, padding=1),
                "peak": most,
            },
            rounds=ROUNDS,
        )
        timings |= {"naive": interleave({"naive": naive}, rounds=NAIVE_ROUNDS)["naive"]}
        least = {name: timing.minimum for name, timing in timings.items()}
        where = f"{threads} thread{'s' * (threads > 1)}"
        naively, plain = least["naive"] / least["ours"], least["conv2d"] / least["ours"]
        share = (OPERATIONS / least["ours"]) / (operations / least["peak"])
        rows += [
            Row(f"deform_conv2d, {where}", f"{least['ours'] * 1e3:.2f} ms"),
            Row(
                f"over im2col and three loops (1 thread), {where}",
                f"{naively:.1f}x",
                ">= 5x",
                naively >= 5,
            ),
            Row(
                f"share of the speed of torch.conv2d, {where}",
                f"{plain:.0%}",
                ">= 50%",
                plain >= 0.5,
            ),
            Row(
                f"share of the peak, {where}",
                f"{share:.0%} of {operations / least['peak'] / 1e9:.0f} GFLOP/s",
            ),
        ]
    return rows
