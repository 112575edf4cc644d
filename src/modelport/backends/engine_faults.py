"""Faults of engines: forms of operators that an engine computes otherwise than ONNX says.

Found by ONNX's own test cases (`make conformance PART=nodes`; docs/engine-faults.md has the table).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelport.errors import BuildError
from modelport.findings import Finding, Severity
from modelport.ir.domains import onnx_nodes
from modelport.ir.shape_inference import infer_shapes
from modelport.ir.values import input_of

if TYPE_CHECKING:
    from pathlib import Path

    import onnx_ir

FAULT_RULE = "engine-fault"
"""The name of all findings of this kind."""


@dataclass(frozen=True)
class Fault:
    """A form of an operator that an engine computes wrongly.

    Attributes:
        operator: The standard operator.
        form: The form, for people.
        is_form: Whether a node has it; types and shapes are inferred, where they can be.
        fix: One thing to do.
        severity: An error is refused by `deploy`; what some values alone show is none.
    """

    operator: str
    form: str
    is_form: Callable[[onnx_ir.Node], bool]
    fix: str = "deploy for the other CPU backend (onnxruntime or openvino)"
    severity: Severity = Severity.ERROR


def has_fractional_corners(node: onnx_ir.Node) -> bool:
    """Whether a Resize aligns corners by scales: ONNX divides by the size before it is rounded."""
    mode = node.attributes.get_string("coordinate_transformation_mode", "half_pixel")
    return mode == "align_corners" and input_of(node, 2) is not None


def reads_causal_products(node: onnx_ir.Node) -> bool:
    """Return True for an `Attention` with `is_causal` whose product of queries and keys is read."""
    if not node.attributes.get_int("is_causal", 0) or len(node.outputs) <= 3:
        return False
    return bool(node.outputs[3].uses() or node.outputs[3].is_graph_output())


ALIGNED_BY_SCALES = Fault(
    "Resize",
    "with align_corners and scales, where a scaled size is not whole",
    has_fractional_corners,
    "give sizes in place of scales; PyTorch rounds the size as engines do",
    Severity.WARNING,
)
"""What runtimes and PyTorch agree on, against ONNX's reference."""


def fault_findings(title: str, faults: Sequence[Fault], model: onnx_ir.Model) -> Iterable[Finding]:
    """A finding for each node that an engine computes wrongly.

    Args:
        title: The engine, with the version that the faults were found in.
        faults: The faults.
        model: The graph, with types and shapes.
    """
    operators = {fault.operator for fault in faults}
    for node in onnx_nodes(model.graph.all_nodes(), *operators):
        for fault in faults:
            if node.op_type == fault.operator and fault.is_form(node):
                yield Finding(
                    FAULT_RULE,
                    fault.severity,
                    f"{title} computes other values than ONNX says: {node.op_type} {fault.form}",
                    node.name or f"the {node.op_type} that computes {node.outputs[0].name!r}",
                    fault.fix,
                )


def refuse_faults(title: str, faults: Sequence[Fault], path: Path) -> None:
    """Refuses a graph that an engine computes wrongly, before it is compiled.

    Args:
        title: The engine, with the version that the faults were found in.
        faults: The faults.
        path: The graph's file.

    Raises:
        BuildError: A node has one of the faults.
    """
    from modelport.model import Model

    operators = {fault.operator for fault in faults}
    ir = Model.load(path).ir
    if not onnx_nodes(ir.graph.all_nodes(), *operators):
        return
    infer_shapes(ir)
    for finding in fault_findings(title, faults, ir):
        if finding.severity is not Severity.ERROR:
            continue
        raise BuildError(
            finding.message,
            where=finding.where,
            why="ONNX's own test cases show it (docs/engine-faults.md)",
            fix=finding.fix,
        )
