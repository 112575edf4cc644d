"""Compare two models, and find where they part."""

from modelport.culprit.comparing import Comparison, compare

__all__ = ["Comparison", "compare"]
