"""What ONNX's operators are, since when, and what ONNX Runtime can run of them; needs no model."""

from __future__ import annotations

from modelport.ops.catalog.kernels import Kernel, KernelSource
from modelport.ops.catalog.operators import OnnxOperator, describe, first_opset, version_at
from modelport.ops.catalog.search import Match, Reason, find
from modelport.ops.catalog.versions import Attribute, OperatorVersion, Parameter

__all__ = [
    "Attribute",
    "Kernel",
    "KernelSource",
    "Match",
    "OnnxOperator",
    "OperatorVersion",
    "Parameter",
    "Reason",
    "describe",
    "find",
    "first_opset",
    "version_at",
]
