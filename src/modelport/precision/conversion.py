"""One way into every precision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import onnx_ir as ir
from onnx_ir.passes import common

from modelport.errors import PassError, UsageError
from modelport.findings import Finding, Severity
from modelport.graph import convert_opset
from modelport.graph.shapes import infer_types
from modelport.model import Model
from modelport.passes.contract import unsound
from modelport.precision.casts import CastGraph
from modelport.precision.forms import NAMES
from modelport.precision.keeping import kept_nodes

_HALVES = {"fp16": ir.DataType.FLOAT16, "bf16": ir.DataType.BFLOAT16}

BFLOAT16_OPSET = 22
"""The opset that brought bfloat16 to convolutions and poolings."""


def convert(
    model: Model,
    precision: str,
    *,
    keep: Iterable[str] = (),
    largest: Mapping[str, float] | None = None,
    keep_io: bool = True,
) -> Model:
    """Rewrites a graph so that it computes in a precision.

    fp16 and bf16: nodes compute in 16 bits, weights are stored so, and casts stand around the nodes
    that stay in float32: sensitive operators (those that `torch.autocast` keeps), positions and
    sizes, weights or activations that overflow, operators without a form of 16 bits, those that
    were asked for, and what lies between them.

    Args:
        model: The model; it stays as it is.
        precision: A precision of `modelport.target.PRECISIONS`.
        keep: What else stays in float32: names of nodes, patterns of them with ``*``, operators.
        largest: The largest magnitude of tensors on calibration data, by name; what could
            overflow stays in float32.
        keep_io: Whether inputs and outputs keep their types; else they are of the precision, too.

    Returns:
        The model itself where it computes so already, else a rewritten copy. Its findings name the
        nodes that stay in float32, by reason, and the weights that do not fit.

    Raises:
        UsageError: There is no rewrite into this precision without data, or a name in `keep` is
            that of nothing.
    """
    if precision in ("fp32", "tf32"):
        return model
    if precision not in _HALVES:
        raise UsageError(
            f"a graph does not turn to {precision} without data to calibrate on",
            fix="quantize it first: modelport quantize SOURCE --int8 --data ...",
        )
    dtype = _HALVES[precision]
    copy = _typed_copy(model, dtype)
    kept = kept_nodes(copy.ir.graph, copy.opset, dtype, keep, largest)
    rewrite = CastGraph(copy.ir, dtype, kept, keep_io)
    rewrite.run()
    common.NameFixPass()(copy.ir)
    problem = next(unsound(copy.ir.graph), None)
    if problem is not None:
        raise PassError(f"the rewrite into {precision} broke the graph", why=problem)
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
    infer_types(copy.ir)
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
