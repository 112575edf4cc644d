"""Rewrites of the graph: one pass a file, one contract."""

import typing

from modelport import lazy

if typing.TYPE_CHECKING:
    from modelport.passes.base import Rewrite
    from modelport.passes.foreign_ops import adopt
    from modelport.passes.legalization import prepare
    from modelport.passes.optional import REWRITES, applicable, rewritten
    from modelport.passes.simplification import Simplification, simplify
    from modelport.passes.target_lint import lint_for
else:
    __getattr__, __dir__ = lazy.public_names(
        __name__,
        {
            "foreign_ops": ("adopt",),
            "base": ("Rewrite",),
            "target_lint": ("lint_for",),
            "legalization": ("prepare",),
            "optional": ("REWRITES", "applicable", "rewritten"),
            "simplification": ("Simplification", "simplify"),
        },
    )

__all__ = [
    "REWRITES",
    "Rewrite",
    "Simplification",
    "adopt",
    "applicable",
    "lint_for",
    "prepare",
    "rewritten",
    "simplify",
]
