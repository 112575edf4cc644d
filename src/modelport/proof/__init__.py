"""Do two computations agree? Cases, metrics and comparisons, on NumPy arrays alone."""

from modelport.proof.cases import Case, draw_cases
from modelport.proof.compare import OutputComparison, compare_outputs
from modelport.proof.tolerance import Tolerance, tolerance_for
from modelport.proof.verification import (
    CaseResult,
    ReferenceCase,
    Verification,
    run_reference,
    verify_cases,
)

__all__ = [
    "Case",
    "CaseResult",
    "OutputComparison",
    "ReferenceCase",
    "Tolerance",
    "Verification",
    "compare_outputs",
    "draw_cases",
    "run_reference",
    "tolerance_for",
    "verify_cases",
]
