"""Rewrites of the graph: one pass a file, one contract."""

from modelport.passes.adoption import adopt
from modelport.passes.preparation import prepare
from modelport.passes.simplification import Simplification, simplify

__all__ = ["Simplification", "adopt", "prepare", "simplify"]
