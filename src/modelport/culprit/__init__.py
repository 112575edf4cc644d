"""Compare two models, and find where they part."""

from modelport.culprit.bisecting import Bisection, bisect
from modelport.culprit.comparing import Comparison, compare
from modelport.culprit.culprits import Culprit
from modelport.culprit.reducing import Reduction, shrink

__all__ = ["Bisection", "Comparison", "Culprit", "Reduction", "bisect", "compare", "shrink"]
