"""Look at a graph and cut it."""

from modelport.graph.checker import CheckResult, check
from modelport.graph.cutting import expose, extract

__all__ = ["CheckResult", "check", "expose", "extract"]
