"""Cost of an engine over the runtime that it wraps: one Add, float32 [1, 4]"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

import modelport
from benchmarks.interleave import Row, interleave

ROUNDS, CALLS = 25, 2000


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "add.onnx"
        onnx.save(add_model(), path)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        engine = modelport.load(path)
    inputs = {"a": np.ones((1, 4), np.float32), "b": np.ones((1, 4), np.float32)}
    output = np.empty((1, 4), np.float32)
    bare = session.io_binding()
    for name, array in inputs.items():
        bare.bind_cpu_input(name, array)
    bare.bind_output("y", "cpu", 0, np.float32, output.shape, output.ctypes.data)
    binding = engine.bind(inputs)
    timings = interleave(
        {
            "session.run": lambda: session.run(None, inputs),
            "engine.run": lambda: engine.run(inputs),
            "session.run_with_iobinding": lambda: session.run_with_iobinding(bare),
            "binding.run": binding.run,
        },
        rounds=ROUNDS,
        calls=CALLS,
    )
    rows = [
        Row(f"{name}, median", f"{timing.median * 1e6:.2f} us") for name, timing in timings.items()
    ]
    for name, base, bound in (
        ("engine.run", "session.run", 3.0),
        ("binding.run", "session.run_with_iobinding", 1.0),
    ):
        more = (timings[name].median - timings[base].median) * 1e6
        rows.append(Row(f"{name} over {base}", f"{more:+.2f} us", f"<= {bound} us", more <= bound))
    return rows


def add_model() -> onnx.ModelProto:
    value = onnx.helper.make_tensor_value_info
    float32 = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["a", "b"], ["y"])],
        "add",
        [value("a", float32, [1, 4]), value("b", float32, [1, 4])],
        [value("y", float32, [1, 4])],
    )
    return onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10
    )
