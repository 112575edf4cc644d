"""Look at a graph."""

from modelport.graph.checker import CheckResult, check

__all__ = ["CheckResult", "check"]
