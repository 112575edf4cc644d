"""Do two computations agree? Cases, metrics and comparisons, on NumPy arrays alone."""

import typing

from modelport import lazy

if typing.TYPE_CHECKING:
    from modelport.proof.casefiles import generated_cases, read_case, read_cases, write_case
    from modelport.proof.cases import EXAMPLE, Case, draw_cases, far_cases
    from modelport.proof.compare import OutputComparison, compare_outputs
    from modelport.proof.comparison import (
        ComparedCase,
        ComparedOutput,
        Judge,
        Metric,
        by_name_or_place,
        compare_case,
        worst_output,
    )
    from modelport.proof.measures import HISTOGRAM_EDGES, Measures, Spread, measure
    from modelport.proof.tolerance import Tolerance, node_tolerance_for, tolerance_for
    from modelport.proof.verification import (
        CaseResult,
        ReferenceCase,
        Runner,
        Verification,
        run_reference,
        smallest_cases,
        verify_cases,
    )
else:
    __getattr__, __dir__ = lazy.public_names(
        __name__,
        {
            "casefiles": ("generated_cases", "read_case", "read_cases", "write_case"),
            "cases": ("EXAMPLE", "Case", "draw_cases", "far_cases"),
            "compare": ("OutputComparison", "compare_outputs"),
            "comparison": (
                "ComparedCase",
                "ComparedOutput",
                "Judge",
                "Metric",
                "by_name_or_place",
                "compare_case",
                "worst_output",
            ),
            "measures": ("HISTOGRAM_EDGES", "Measures", "Spread", "measure"),
            "tolerance": ("Tolerance", "node_tolerance_for", "tolerance_for"),
            "verification": (
                "CaseResult",
                "ReferenceCase",
                "Runner",
                "Verification",
                "run_reference",
                "smallest_cases",
                "verify_cases",
            ),
        },
    )

__all__ = [
    "EXAMPLE",
    "HISTOGRAM_EDGES",
    "Case",
    "CaseResult",
    "ComparedCase",
    "ComparedOutput",
    "Judge",
    "Measures",
    "Metric",
    "OutputComparison",
    "ReferenceCase",
    "Runner",
    "Spread",
    "Tolerance",
    "Verification",
    "by_name_or_place",
    "compare_case",
    "compare_outputs",
    "draw_cases",
    "far_cases",
    "generated_cases",
    "measure",
    "node_tolerance_for",
    "read_case",
    "read_cases",
    "run_reference",
    "smallest_cases",
    "tolerance_for",
    "verify_cases",
    "worst_output",
    "write_case",
]
