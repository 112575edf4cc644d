"""Compare two models, and find where they part."""

import typing

from modelport import lazy

if typing.TYPE_CHECKING:
    from modelport.culprit.bisecting import Bisection, bisect
    from modelport.culprit.comparing import Comparison, compare
    from modelport.culprit.culprits import Culprit
    from modelport.culprit.reducing import Reduction, shrink
else:
    __getattr__, __dir__ = lazy.public_names(
        __name__,
        {
            "bisecting": ("Bisection", "bisect"),
            "comparing": ("Comparison", "compare"),
            "culprits": ("Culprit",),
            "reducing": ("Reduction", "shrink"),
        },
    )

__all__ = ["Bisection", "Comparison", "Culprit", "Reduction", "bisect", "compare", "shrink"]
