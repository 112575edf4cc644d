"""Rewrites of the graph: one pass a file, one contract."""

from modelport.passes.adoption import adopt
from modelport.passes.linting import lint_for
from modelport.passes.preparation import prepare
from modelport.passes.rewriting import REWRITES, applicable, rewritten
from modelport.passes.simplification import Simplification, simplify

__all__ = [
    "REWRITES",
    "Simplification",
    "adopt",
    "applicable",
    "lint_for",
    "prepare",
    "rewritten",
    "simplify",
]
