"""Compare two models, and find where they part."""

from modelport.culprit.bisecting import Bisection, bisect
from modelport.culprit.comparing import Comparison, compare
from modelport.culprit.culprits import Culprit

__all__ = ["Bisection", "Comparison", "Culprit", "bisect", "compare"]
