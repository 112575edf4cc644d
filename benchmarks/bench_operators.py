"""Cost of a declared operator beyond its kernel: a call, a node, a build"""

from __future__ import annotations

import ctypes
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from benchmarks.interleave import Row

ROUNDS, CALLS = 31, 1000
CHAIN = 101

_DECLARATION = """
import modelport
from torch import Tensor


@modelport.operator("{domain}::{name}", kernels=["kernel.cpp"])
def {name}(a: Tensor, b: Tensor) -> Tensor:
    return a + b


@{name}.shapes
def _(a, b):
    return a
"""

_BACKWARD = """

@{name}.backward
def _(gradient, a, b):
    return gradient, gradient
"""

_KERNEL = """#include <modelport/kernel.h>

void {name}(Context&, In<float> a, In<float> b, Out<float> output) {{
  float* to = output.alloc(a.shape());
  for (int64_t i = 0; i < a.size(); ++i) to[i] = a[i] + b[i];
}}
"""


def run() -> list[Row]:
    """Measures."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MODELPORT_CACHE"] = f"{folder}/cache"
        for name, backward in (("plain", ""), ("trained", _BACKWARD)):
            write(Path(folder) / "ops" / name, "bench", name, backward)
        operators = load(Path(folder) / "ops")
        return [*calls(operators), *nodes(), *builds(Path(folder))]


def write(folder: Path, domain: str, name: str, backward: str = "") -> None:
    """An operator's folder."""
    folder.mkdir(parents=True)
    (folder / "op.py").write_text((_DECLARATION + backward).format(domain=domain, name=name))
    (folder / "kernel.cpp").write_text(_KERNEL.format(name=name))


def load(folder: Path) -> dict[str, Any]:
    """The operators of a folder by name."""
    from modelport.ops.scaffold import load_folder

    return {item.schema.name: item for item in load_folder(folder)}


def calls(operators: Mapping[str, Any]) -> list[Row]:
    """The PyTorch operator on 16 floats, over its kernel called with everything prepared."""
    a, b = torch.rand(16), torch.rand(16)
    plain, trained = (operators[name].eager.overload for name in ("plain", "trained"))
    with torch.no_grad():
        plain(a, b), trained(a, b)
    timings = cpu_times(
        {
            "the bare kernel": bare(operators["plain"], a, b),
            "torch.add": lambda: torch.add(a, b),
            "the operator": lambda: plain(a, b),
            "the operator with a backward formula": lambda: trained(a, b),
        }
    )
    rows = [Row(f"{name}, CPU time", f"{taken:.2f} us") for name, taken in timings.items()]
    for name, bound in (
        ("the operator", 8.0),
        ("the operator with a backward formula", 13.0),
    ):
        more = timings[name] - timings["the bare kernel"]
        rows.append(
            Row(f"{name} over the kernel", f"{more:+.2f} us", f"<= {bound} us", more <= bound)
        )
    return rows


def bare(operator: Any, a: torch.Tensor, b: torch.Tensor) -> Callable[[], object]:
    """The kernel alone: its plan, its buffers and its output were made before."""
    from modelport.ops.kernel_call import make_plan

    plan = make_plan(operator, "cpu", [a, b], {})
    output = torch.empty(16)
    buffers = plan._buffers.pack(a.data_ptr(), b.data_ptr(), output.data_ptr())
    arguments = (plan._bound.handle, 1, None, plan._shapes, buffers, ctypes.c_void_p())
    call = plan._call

    # What the arguments point to lives as long as the function.
    def run(kept: Any = (plan, a, b, output)) -> object:
        return call(*arguments)

    assert run() == 0
    assert torch.equal(output, a + b)
    return run


def cpu_times(
    contestants: Mapping[str, Callable[[], object]], calls: int = CALLS
) -> dict[str, float]:
    """Microseconds of this thread's CPU time a call; medians of interleaved rounds."""
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, function in contestants.items():
            begin = time.thread_time()
            for _ in range(calls):
                function()
            samples[name].append((time.thread_time() - begin) / calls * 1e6)
    return {name: statistics.median(taken) for name, taken in samples.items()}


def nodes() -> list[Row]:
    """ONNX Runtime, one thread: a chain of custom nodes beside one of Add, on 16 floats."""
    from modelport.ops.library_store import library_path

    sessions = {
        name: session(chain(name, domain), library_path("bench"))
        for name, domain in (("Add", ""), ("plain", "bench"))
    }
    inputs = {"a": np.ones(16, np.float32)}
    (reference,) = sessions["Add"].run(None, inputs)
    (found,) = sessions["plain"].run(None, inputs)
    np.testing.assert_array_equal(reference, found)
    each = cpu_times(
        {name: lambda item=item: item.run(None, inputs) for name, item in sessions.items()},  # type: ignore[misc]
        calls=100,
    )
    each = {name: taken / CHAIN for name, taken in each.items()}
    more = each["plain"] - each["Add"]
    return [
        Row("ONNX Runtime, a node Add", f"{each['Add']:.2f} us"),
        Row("ONNX Runtime, a custom node", f"{each['plain']:.2f} us"),
        Row("a custom node over Add", f"{more:+.2f} us", "<= 0.3 us", more <= 0.3),
    ]


def chain(operator: str, domain: str) -> bytes:
    """a + a + a ...: a graph of `CHAIN` nodes."""
    names = ["a", *(f"t{index}" for index in range(CHAIN))]
    made = [
        onnx.helper.make_node(operator, [names[index], "a"], [names[index + 1]], domain=domain)
        for index in range(CHAIN)
    ]
    value, float32 = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        made, "chain", [value("a", float32, [16])], [value(names[-1], float32, [16])]
    )
    opsets = [onnx.helper.make_opsetid("", 18), onnx.helper.make_opsetid("bench", 1)]
    return bytes(
        onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
    )


def session(model: bytes, library: Path) -> onnxruntime.InferenceSession:
    """A session of one thread, without optimizations that would fuse the chain."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.register_custom_ops_library(str(library))
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def builds(folder: Path) -> list[Row]:
    """A clean build of one operator, and the same once more, in a process of its own."""
    write(folder / "one", "alone", "alone")
    script = (
        "import os, sys, time; from modelport.ops.scaffold import load_folder;"
        "from modelport.ops.build import build_library;"
        "found = load_folder(sys.argv[1]); before = os.times(); begin = time.perf_counter();"
        "build_library(found); took = time.perf_counter() - begin; after = os.times();"
        "print(took, sum(after[:4]) - sum(before[:4]))"
    )
    environment = {**os.environ, "MODELPORT_CACHE": str(folder / "fresh")}
    took = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", script, str(folder / "one")],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        took.append([float(item) for item in done.stdout.split()])
    (clean, work), (_, cached) = took
    # The processors that this machine has divide the work, whoever else wants them now.
    alone = work / (os.cpu_count() or 1)
    return [
        Row("clean build of one operator", f"{clean:.1f} s"),
        Row("its CPU time over the cores", f"{alone:.1f} s", "<= 4 s", alone <= 4),
        Row("the same when cached, CPU time", f"{cached * 1e3:.0f} ms", "<= 100 ms", cached <= 0.1),
    ]
