"""Conformance of operators: every runtime computes the reference."""

from modelport.conformance.plugins import prove_plugins
from modelport.conformance.prover import prove_operator
from modelport.conformance.results import Check, Conformance
from modelport.conformance.sanitizers import prove_kernels_sanitized

__all__ = ["Check", "Conformance", "prove_kernels_sanitized", "prove_operator", "prove_plugins"]
