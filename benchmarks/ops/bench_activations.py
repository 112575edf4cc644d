"""hswish and hsigmoid, float32, a million elements, against torch's own: minima"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from benchmarks.interleave import Row, interleave
from benchmarks.ops.native import copying
from benchmarks.ops.threads import thread_counts
from modelport.ops.library.hsigmoid.op import hsigmoid
from modelport.ops.library.hswish.op import hswish

ROUNDS, COUNT = 300, 1 << 20


def run() -> list[Row]:
    torch.manual_seed(0)
    x = torch.randn(COUNT)
    rows = []
    for threads in thread_counts():
        copy = copying(threads, COUNT)
        for name, ours, torchs in (
            ("hswish", hswish, F.hardswish),
            ("hsigmoid", hsigmoid, F.hardsigmoid),
        ):
            timings = interleave(
                {
                    "ours": lambda ours=ours: ours(x),
                    "torch": lambda torchs=torchs: torchs(x),
                    "copy": copy,
                },
                rounds=ROUNDS,
            )
            least = {way: timing.minimum for way, timing in timings.items()}
            where = f"{threads} thread{'s' * (threads > 1)}"
            rows += [
                Row(f"{name}, {where}", f"{least['ours'] * 1e3:.2f} ms"),
                Row(f"{name} over torch's, {where}", f"{least['torch'] / least['ours']:.2f}x"),
                # Both read and write each element once.
                Row(
                    f"{name}: share of a copy's speed, {where}",
                    f"{least['copy'] / least['ours']:.0%}",
                ),
            ]
    return rows
