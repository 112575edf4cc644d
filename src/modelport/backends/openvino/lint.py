"""Forms of operators that OpenVINO computes otherwise than ONNX says; see `engine_faults`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from modelport.backends.engine_faults import (
    ALIGNED_BY_SCALES,
    Fault,
    fault_findings,
    reads_causal_products,
)
from modelport.findings import Severity
from modelport.ir.constants import tensor_of
from modelport.ir.values import input_of

if TYPE_CHECKING:
    import onnx_ir

    from modelport.findings import Finding

TITLE = "OpenVINO 2026.4"


def _is_batchwise(node: onnx_ir.Node) -> bool:
    return bool(node.attributes.get_int("layout", 0))


def _has_signed(node: onnx_ir.Node) -> bool:
    value = input_of(node, 0)
    return value is None or value.dtype is None or value.dtype.is_signed()


def _has_runtime_input(node: onnx_ir.Node, index: int) -> bool:
    value = input_of(node, index)
    return value is not None and tensor_of(value, default=True) is None


def _is_empty(node: onnx_ir.Node) -> bool:
    value = input_of(node, 0)
    return value is not None and value.shape is not None and 0 in tuple(value.shape)


FAULTS = (
    *(
        Fault(operator, "of batches first (layout = 1)", _is_batchwise)
        for operator in ("GRU", "LSTM", "RNN")
    ),
    Fault("LSTM", "with peepholes", lambda node: input_of(node, 7) is not None),
    Fault(
        "Attention",
        "with a window",
        lambda node: (
            node.attributes.get_int("left_window_size", -1) >= 0
            or node.attributes.get_int("right_window_size", -1) >= 0
        ),
    ),
    Fault(
        "Attention",
        "with is_causal, past keys and the product of queries and keys as an output",
        reads_causal_products,
    ),
    Fault("BitShift", "of signed integers", _has_signed),
    Fault("DFT", "with onesided = 1", lambda node: bool(node.attributes.get_int("onesided", 0))),
    Fault(
        "DFT",
        "along an axis that is computed or an input",
        lambda node: _has_runtime_input(node, 2),
    ),
    Fault(
        "Resize",
        "with antialias = 1",
        lambda node: bool(node.attributes.get_int("antialias", 0)),
    ),
    Fault(
        "Resize",
        "with exclude_outside = 1",
        lambda node: bool(node.attributes.get_int("exclude_outside", 0)),
    ),
    Fault(
        "Resize",
        "with a keep_aspect_ratio_policy",
        lambda node: node.attributes.get_string("keep_aspect_ratio_policy", "stretch") != "stretch",
    ),
    Fault(
        "RoiAlign",
        "with mode = max",
        lambda node: node.attributes.get_string("mode", "avg") == "max",
    ),
    Fault(
        "SpaceToDepth",
        "with mode = CRD",
        lambda node: node.attributes.get_string("mode", "DCR") == "CRD",
    ),
    ALIGNED_BY_SCALES,
    Fault("ReduceMax", "of nothing", _is_empty),
    Fault(
        "ReduceMax",
        "of values that are all -infinity, which becomes the lowest finite number",
        lambda node: not _is_empty(node),
        "mask with a large negative number in place of -infinity",
        Severity.NOTE,
    ),
    Fault(
        "Tile",
        "with repeats that are computed or an input",
        lambda node: _has_runtime_input(node, 1),
    ),
)


def _faults(model: onnx_ir.Model) -> Iterable[Finding]:
    """Nodes that OpenVINO computes wrongly."""
    return fault_findings(TITLE, FAULTS, model)


RULES = (_faults,)
