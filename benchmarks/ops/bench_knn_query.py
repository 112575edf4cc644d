"""knn_query, float32, 100,000 points, k = 16, against scipy.spatial.cKDTree (built and queried)"""

from __future__ import annotations

import torch
from scipy.spatial import cKDTree

from benchmarks.interleave import Row, interleave
from benchmarks.ops.threads import thread_counts
from modelport.ops.library.knn_query.op import knn_query

ROUNDS = 5
COUNT, NEIGHBOURS = 100_000, 16


def run() -> list[Row]:
    torch.manual_seed(0)
    clouds = {
        "cube": torch.rand(COUNT, 3),
        "sphere": torch.nn.functional.normalize(torch.randn(COUNT, 3), dim=1),
    }
    offset = torch.tensor([COUNT], dtype=torch.int32)
    rows = []
    for threads in thread_counts():
        for name, xyz in clouds.items():
            points = xyz.numpy()
            timings = interleave(
                {
                    "ours": lambda xyz=xyz: knn_query(xyz, offset, nsample=NEIGHBOURS),
                    "scipy": lambda points=points, threads=threads: cKDTree(points).query(
                        points, k=NEIGHBOURS, workers=threads
                    ),
                },
                rounds=ROUNDS,
            )
            ours, other = timings["ours"].minimum, timings["scipy"].minimum
            where = f"{name}, {threads} thread{'s' * (threads > 1)}"
            ratio = other / ours
            rows += [
                Row(f"knn_query, {where}", f"{ours * 1e3:.0f} ms"),
                Row(f"over cKDTree, {where}", f"{ratio:.1f}x", ">= 3x", ratio >= 3),
            ]
    return rows
