"""PyTorch models to ONNX graphs."""

from modelport.capture.inputs import BoundInputs, bind_inputs
from modelport.capture.marks import mark
from modelport.capture.reference import torch_reference
from modelport.capture.rewriters import rewrite, rewrite_module
from modelport.capture.status import is_exporting
from modelport.capture.support import describe_aten, operator_support
from modelport.capture.symbolic import register_symbolic

__all__ = [
    "BoundInputs",
    "bind_inputs",
    "describe_aten",
    "is_exporting",
    "mark",
    "operator_support",
    "register_symbolic",
    "rewrite",
    "rewrite_module",
    "torch_reference",
]
