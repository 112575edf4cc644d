"""Do two computations agree? Cases, metrics and comparisons, on NumPy arrays alone."""

import typing

from modelport import lazy

if typing.TYPE_CHECKING:
    from modelport.numerics.case_files import generated_cases, read_case, read_cases, write_case
    from modelport.numerics.cases import EXAMPLE, Case, draw_cases, far_cases
    from modelport.numerics.pairwise import (
        ComparedCase,
        ComparedOutput,
        Judge,
        Metric,
        by_name_or_place,
        compare_case,
        worst_output,
    )
    from modelport.numerics.result import OutputComparison, compare_outputs
    from modelport.numerics.statistics import HISTOGRAM_EDGES, Measures, Spread, measure
    from modelport.numerics.tolerance import Bounds, Tolerance, node_tolerance_for, tolerance_for
    from modelport.numerics.verification import (
        CONSTANT,
        CaseResult,
        ReferenceCase,
        Runner,
        Verification,
        count_evidence,
        output_scales,
        run_reference,
        smallest_cases,
        verify_cases,
        without_evidence,
    )
else:
    __getattr__, __dir__ = lazy.public_names(
        __name__,
        {
            "case_files": ("generated_cases", "read_case", "read_cases", "write_case"),
            "cases": ("EXAMPLE", "Case", "draw_cases", "far_cases"),
            "result": ("OutputComparison", "compare_outputs"),
            "pairwise": (
                "ComparedCase",
                "ComparedOutput",
                "Judge",
                "Metric",
                "by_name_or_place",
                "compare_case",
                "worst_output",
            ),
            "statistics": ("HISTOGRAM_EDGES", "Measures", "Spread", "measure"),
            "tolerance": ("Bounds", "Tolerance", "node_tolerance_for", "tolerance_for"),
            "verification": (
                "CONSTANT",
                "CaseResult",
                "ReferenceCase",
                "Runner",
                "Verification",
                "count_evidence",
                "output_scales",
                "run_reference",
                "smallest_cases",
                "verify_cases",
                "without_evidence",
            ),
        },
    )

__all__ = [
    "CONSTANT",
    "EXAMPLE",
    "HISTOGRAM_EDGES",
    "Bounds",
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
    "count_evidence",
    "draw_cases",
    "far_cases",
    "generated_cases",
    "measure",
    "node_tolerance_for",
    "output_scales",
    "read_case",
    "read_cases",
    "run_reference",
    "smallest_cases",
    "tolerance_for",
    "verify_cases",
    "without_evidence",
    "worst_output",
    "write_case",
]
