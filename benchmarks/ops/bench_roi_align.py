"""roi_align, float32, against ONNX Runtime's RoiAlign, both in its sessions: minima of calls"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from benchmarks.interleave import Row
from benchmarks.ops.beside import beside
from modelport.ops.library.roi_align.op import roi_align
from modelport.ops.library_store import library_path

CASES = (
    # channels, height and width, regions, samples a bin
    (256, 56, 100, -1),
    (256, 56, 100, 2),
    (256, 28, 500, 2),
)
POOLED, SCALE = 7, 0.25


def run() -> list[Row]:
    rng = np.random.default_rng(0)
    rows = []
    for threads in (1, 2):
        for channels, size, count, samples in CASES:
            x = rng.random((1, channels, size, size), np.float32)
            first = rng.random((count, 2)) * size / SCALE * 0.7
            extent = rng.uniform(0.1, 0.3, (count, 2)) * size / SCALE
            corners = np.concatenate([first, first + extent], 1).astype(np.float32)
            rois = np.concatenate([np.zeros((count, 1), np.float32), corners], 1)
            images = np.zeros(count, np.int64)
            ours = _session(_own_node(samples), {"x": x, "rois": rois}, threads)
            runtimes = _session(
                _standard_node(samples), {"x": x, "rois": corners, "images": images}, threads
            )
            what = f"{list(x.shape)}, {count} regions, " + (
                f"{samples} samples" if samples > 0 else "as many samples as pixels"
            )
            rows += beside(
                f"{what}, {threads} thread{'s' * (threads > 1)}", ours, "ONNX Runtime", runtimes
            )
    return rows


def _own_node(samples: int) -> onnx.NodeProto:
    return onnx.helper.make_node(
        "roi_align",
        ["x", "rois"],
        ["y"],
        domain=roi_align.schema.domain,
        spatial_scale=SCALE,
        pooled_height=POOLED,
        pooled_width=POOLED,
        sampling_ratio=samples,
        aligned=1,
    )


def _standard_node(samples: int) -> onnx.NodeProto:
    return onnx.helper.make_node(
        "RoiAlign",
        ["x", "rois", "images"],
        ["y"],
        coordinate_transformation_mode="half_pixel",
        spatial_scale=SCALE,
        output_height=POOLED,
        output_width=POOLED,
        sampling_ratio=max(samples, 0),
    )


def _session(node: onnx.NodeProto, arrays: dict[str, np.ndarray], threads: int) -> Any:
    """A call of a graph of one node, its buffers bound."""
    value = onnx.helper.make_tensor_value_info
    inputs = [
        value(name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in arrays.items()
    ]
    shape = [len(arrays["rois"]), arrays["x"].shape[1], POOLED, POOLED]
    graph = onnx.helper.make_graph(
        [node], "roi_align", inputs, [value("y", onnx.TensorProto.FLOAT, shape)]
    )
    opsets = [onnx.helper.make_opsetid("", 18), onnx.helper.make_opsetid("modelport", 1)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.register_custom_ops_library(str(library_path(roi_align.schema.domain)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    output = np.empty(shape, np.float32)
    binding = session.io_binding()
    for name, array in arrays.items():
        binding.bind_cpu_input(name, array)
    binding.bind_output("y", "cpu", 0, np.float32, shape, output.ctypes.data)

    def call() -> torch.Tensor:
        session.run_with_iobinding(binding)
        return torch.from_numpy(output)

    return call
