"""Compare two models, and find the first node that differs."""

import typing

from modelport import lazy

if typing.TYPE_CHECKING:
    from modelport.debug.bisection import Bisection, bisect
    from modelport.debug.comparison import Comparison, compare
    from modelport.debug.divergence_report import Culprit
    from modelport.debug.minimization import Reduction, shrink
else:
    __getattr__, __dir__ = lazy.public_names(
        __name__,
        {
            "bisection": ("Bisection", "bisect"),
            "comparison": ("Comparison", "compare"),
            "divergence_report": ("Culprit",),
            "minimization": ("Reduction", "shrink"),
        },
    )

__all__ = ["Bisection", "Comparison", "Culprit", "Reduction", "bisect", "compare", "shrink"]
