"""Symbolic functions of the old exporter, honoured by the new one."""

from __future__ import annotations

from modelport.capture.symbolic.bridge import SymbolicBridge, honour_symbolics
from modelport.capture.symbolic.node_validation import HasKernel, has_standard_kernel
from modelport.capture.symbolic.registration import SymbolicRegistration, register_symbolic

__all__ = [
    "HasKernel",
    "SymbolicBridge",
    "SymbolicRegistration",
    "has_standard_kernel",
    "honour_symbolics",
    "register_symbolic",
]
