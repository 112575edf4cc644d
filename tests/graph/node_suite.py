"""ONNX's own tests of its operators, and what each must survive."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnx_ir
import onnxruntime
from onnx.backend.test import loader
from onnxruntime.capi import onnxruntime_pybind11_state as states

from modelport.graph import diff, expose, extract, model_text

Outputs = Sequence[Any]
REFUSED = tuple(
    value
    for value in vars(states).values()
    if isinstance(value, type) and issubclass(value, Exception)
)


FLOAT16 = (
    "test_attention_4d_causal_fp16_expanded",
    "test_attention_4d_fp16_expanded",
    "test_attention_4d_gqa_causal_nonpad_decode_fp16_expanded",
    "test_attention_4d_gqa_with_past_and_present_fp16_expanded",
    "test_flexattention_fp16_expanded_ver26",
)
"""Exceptions of `expose`, which keep the outputs up to float16's rounding only: a CPU computes
float16 in float32, and what is an output is rounded to float16 on the way."""


@functools.cache
def cases() -> dict[str, Any]:
    """Every case of the standard, by name; making them takes half a minute."""
    return {case.name: case for case in loader.load_model_tests(kind="node")}


def has_cases() -> bool:
    """Whether this version of onnx makes the cases; older ones keep them in files."""
    return hasattr(loader, "load_node_model_tests")


def sample() -> list[Any]:
    """Every eighth case by name, the same ones each time."""
    return [case for _, case in sorted(cases().items())][::8]


def run(model: onnx.ModelProto, inputs: Sequence[Any]) -> dict[str, Any]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [given.name for given in session.get_inputs()]
    feeds = dict(zip(names, inputs, strict=False))
    outputs = [output.name for output in session.get_outputs()]
    return dict(zip(outputs, session.run(outputs, feeds), strict=True))


def supported(case: Any) -> bool:
    """Whether ONNX Runtime runs a case at all, and twice to the same result."""
    return _supported(case.name)


@functools.cache
def _supported(name: str) -> bool:
    case = cases()[name]
    inputs = case.data_sets[0][0]
    try:
        first, second = run(case.model, inputs), run(case.model, inputs)
    except (*REFUSED, ValueError, RuntimeError, TypeError, NotImplementedError):
        return False
    return all(same(first[key], second[key]) for key in first)


def same(a: Any, b: Any) -> bool:
    """Whether two results are equal, element by element and bit for bit, NaNs included."""
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray) and a.dtype != object:
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return bool(np.array_equal(a, b))


def extracted(model: onnx.ModelProto) -> onnx.ModelProto:
    ir = onnx_ir.from_proto(model)
    names = [[value.name for value in values] for values in (ir.graph.inputs, ir.graph.outputs)]
    return onnx_ir.to_proto(extract(ir, *names))


def exposed(model: onnx.ModelProto) -> onnx.ModelProto:
    return onnx_ir.to_proto(expose(onnx_ir.from_proto(model)))


def printed(model: onnx.ModelProto) -> onnx.ModelProto:
    return onnx.parser.parse_model(model_text(onnx_ir.from_proto(model)))


def compared(model: onnx.ModelProto) -> onnx.ModelProto:
    ir = onnx_ir.from_proto(model)
    assert diff(ir, onnx_ir.from_proto(model)).changes == ()
    return onnx_ir.to_proto(ir)


WAYS: dict[str, Callable[[onnx.ModelProto], onnx.ModelProto]] = {
    "extract": extracted,
    "expose": exposed,
    "print": printed,
    "diff": compared,
}


def survives(case: Any, way: str) -> bool:
    """Whether the outputs stay what they are."""
    inputs = case.data_sets[0][0]
    before, after = run(case.model, inputs), run(WAYS[way](case.model), inputs)
    if way == "expose" and case.name in FLOAT16:
        return all(np.allclose(a, after[key], rtol=2e-3, atol=2e-3) for key, a in before.items())
    return all(same(value, after[key]) for key, value in before.items())
