"""Bisecting every node of a large graph holds a bounded part of its tensors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

NODES = 5000
ELEMENTS = 52_500
"""5,000 tensors of float32 [1, 52500]: 1.05 GB."""

RUN = """
import json, resource, sys
import numpy as np
from modelport import bisect
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
cases = [{"x": np.linspace(-1, 1, int(sys.argv[4]), dtype=np.float32)[None]}]
result = bisect(*sys.argv[1:3], cases=cases, all_nodes=True, budget=int(sys.argv[3]))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = result.culprit and result.culprit.node
print(json.dumps({"grown": (after - before) / 1024, "node": found, "links": len(result.links),
    "judged": sum(link.own is not None for link in result.links)}))
"""


def chain(path: Path, odd: int | None = None) -> Path:
    """A chain of alternating operators; at one place another one."""
    operators = ("Sin", "Neg", "Cos", "Abs")
    nodes = [
        helper.make_node(
            "Tanh" if index == odd else operators[index % 4],
            ["x" if index == 0 else f"t{index - 1}"],
            [f"t{index}"],
            name=f"n{index}",
        )
        for index in range(NODES)
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, ELEMENTS])
        for name in ("x", f"t{NODES - 1}")
    ]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, path)
    return path


@pytest.mark.slow
def test_a_gigabyte_of_tensors_in_pieces(tmp_path: Path) -> None:
    right, wrong = chain(tmp_path / "right.onnx"), chain(tmp_path / "wrong.onnx", odd=4321)
    command = [sys.executable, "-c", RUN, str(right), str(wrong), "64", str(ELEMENTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["node"] == "n4321"
    assert found["links"] == found["judged"] == NODES
    assert np.float32().nbytes * ELEMENTS * NODES > 1e9
    assert found["grown"] < 300
