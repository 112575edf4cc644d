"""Conversion of a graph to any precision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import onnx_ir as ir
from onnx_ir.passes import common

from modelport.errors import PassError, UsageError
from modelport.findings import Finding, Severity
from modelport.graph import convert_opset
from modelport.ir.shape_inference import infer_shapes
from modelport.ir.topology import order_problems
from modelport.model import Model
from modelport.precision.calibration_table import CalibrationTable
from modelport.precision.casts import CastGraph
from modelport.precision.excluded_nodes import asked_for, kept_nodes
from modelport.precision.float8 import FLOAT8, FLOAT8_OPSET
from modelport.precision.qdq import FORMS, QuantizeGraph
from modelport.precision.quantizable import QUANTIZED, weighted_nodes
from modelport.precision.scheme import NAMES

_HALVES = {"fp16": ir.DataType.FLOAT16, "bf16": ir.DataType.BFLOAT16}

BFLOAT16_OPSET = 22
"""The opset that introduced bfloat16 for convolutions and poolings."""

EIGHT_BITS = ("int8", "fp8")
"""Precisions that need ranges of tensors."""

_QDQ_OPSET = 13
"""The opset that introduced scales per channel."""


def convert(
    model: Model,
    precision: str,
    *,
    table: CalibrationTable | None = None,
    keep: Iterable[str] = (),
    form: str = "unsigned",
    keep_io: bool = True,
) -> Model:
    """Rewrites a graph so that it computes in a precision.

    fp16 and bf16: nodes compute in 16 bits, weights are stored so, and casts stand around the nodes
    that stay in float32: sensitive operators (those that `torch.autocast` keeps), positions and
    sizes, weights or activations that overflow, operators without a form of 16 bits, those that
    were asked for, and what lies between them.

    int8 and fp8: products and convolutions read activations and weights through explicit
    QuantizeLinear and DequantizeLinear; biases stay in float32. fp8 is float8_e4m3fn.

    Args:
        model: The model; it stays as it is.
        precision: A precision of `modelport.target.PRECISIONS`.
        table: Ranges of tensors on calibration data. int8 and fp8 need it; in fp16 and bf16 what
            could overflow by it stays in float32.
        keep: What else stays in float32: names of nodes, patterns of them with ``*``, operators.
        form: Of int8: one of `modelport.precision.qdq.FORMS`.
        keep_io: Whether inputs and outputs keep their types; else they are of the precision, too.

    Returns:
        The model itself where it computes so already (in int8 and fp8: where it has QuantizeLinear,
        as after quantization-aware training), else a rewritten copy. Its findings name the nodes
        that stay in float32 and the weights that do not fit.

    Raises:
        UsageError: There is no rewrite into this precision without a table, the table has none of
            the model's tensors, or a name in `keep` is that of nothing.
    """
    if precision in ("fp32", "tf32"):
        return model
    if precision in _HALVES:
        largest = {name: max(-low, high) for name, (low, high) in (table or _NONE).ranges.items()}
        return _to_half(model, precision, keep, largest, keep_io)
    if precision not in EIGHT_BITS:
        raise UsageError(f"there is no rewrite into {precision}", fix="fp16, bf16, int8 or fp8")
    if is_quantized(model):
        return model
    if precision == "int8" and form not in FORMS:
        raise UsageError(f"unknown form {form!r}", fix=f"one of: {', '.join(FORMS)}")
    return _to_eight_bits(model, precision, table, keep, form if precision == "int8" else FLOAT8)


_NONE = CalibrationTable()


def is_quantized(model: Model) -> bool:
    """Return True if a model computes in 8 bits already."""
    return any(
        node.op_type in QUANTIZED or node.op_type.startswith("QLinear")
        for node in model.ir.graph.all_nodes()
    )


def _to_eight_bits(
    model: Model, precision: str, table: CalibrationTable | None, keep: Iterable[str], form: str
) -> Model:
    if table is None:
        raise UsageError(
            f"a graph does not turn to {precision} without data to calibrate on",
            fix=f"give data, or quantize it first: modelport quantize SOURCE --{precision} "
            "--data ...",
        )
    opset = FLOAT8_OPSET if form == FLOAT8 else _QDQ_OPSET
    if model.opset < opset:
        model = convert_opset(model, opset)
    copy = model.copy()
    infer_shapes(copy.ir)
    graph = copy.ir.graph
    kept = asked_for(graph.all_nodes(), keep)
    rewrite = QuantizeGraph(graph, table.ranges, kept, form)
    if not rewrite.nodes and not kept:
        raise UsageError(
            "nothing of the model can compute in 8 bits",
            why="no convolution or product reads tensors that the calibration table has",
            fix="calibrate this model: tables go by the names of tensors",
        )
    rewrite.run()
    common.RemoveUnusedNodesPass()(copy.ir)
    _finish(copy, precision)
    left = [node for node in weighted_nodes(graph) if node not in rewrite.nodes]
    if left:
        names = ", ".join(f"{node.name!r} ({node.op_type})" for node in left)
        copy.findings.append(
            Finding("kept-in-fp32", Severity.NOTE, f"these stay in float32: {names}")
        )
    return copy


def _finish(model: Model, precision: str) -> None:
    common.NameFixPass()(model.ir)
    problem = next(iter(order_problems(model.ir.graph)), None)
    if problem is not None:
        raise PassError(f"the rewrite into {precision} broke the graph", why=problem)


def _to_half(
    model: Model, precision: str, keep: Iterable[str], largest: Mapping[str, float], keep_io: bool
) -> Model:
    dtype = _HALVES[precision]
    copy = _typed_copy(model, dtype)
    kept = kept_nodes(copy.ir.graph, copy.opset, dtype, keep, largest)
    rewrite = CastGraph(copy.ir, dtype, kept, keep_io)
    rewrite.run()
    _finish(copy, precision)
    copy.findings += [*_kept_findings(kept, dtype), *rewrite.findings]
    return copy


def _typed_copy(model: Model, dtype: ir.DataType) -> Model:
    """A copy whose tensors have types, of an opset that has most operators in the type."""
    copy = model.copy()
    if dtype is ir.DataType.BFLOAT16 and 0 < model.opset < BFLOAT16_OPSET:
        try:
            copy = convert_opset(copy, BFLOAT16_OPSET)
        except PassError as error:
            copy.findings.append(
                Finding(
                    "opset-kept",
                    Severity.WARNING,
                    f"opset {model.opset} has bfloat16 for few operators, and the model does not "
                    f"convert to {BFLOAT16_OPSET}: {error.why}",
                    fix=f"export it with opset={BFLOAT16_OPSET}",
                )
            )
    infer_shapes(copy.ir)
    return copy


def _kept_findings(kept: Mapping[ir.Node, str], dtype: ir.DataType) -> list[Finding]:
    """A warning for each node that would overflow, and one note on all that stay in float32."""
    found = []
    for node, reason in kept.items():
        if reason.startswith(("overflow", "underflow")):
            found.append(
                Finding(
                    f"kept-for-{reason.partition(':')[0]}",
                    Severity.WARNING,
                    f"the node stays in float32: {reason}; {NAMES[dtype]} ends at {dtype.max:g}",
                    where=f"{node.name!r} ({node.op_type})",
                )
            )
    counts = Counter(node.op_type for node in kept if node.op_type not in ("Constant", "Identity"))
    if counts:
        names = ", ".join(f"{count} {name}" for name, count in counts.most_common())
        found.append(Finding("kept-in-fp32", Severity.NOTE, f"these stay in float32: {names}"))
    return found
