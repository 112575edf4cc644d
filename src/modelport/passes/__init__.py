"""Rewrites of the graph: one pass a file, one contract."""

import typing

from modelport import lazy

if typing.TYPE_CHECKING:
    from modelport.passes.adoption import adopt
    from modelport.passes.contract import Rewrite
    from modelport.passes.linting import lint_for
    from modelport.passes.preparation import prepare
    from modelport.passes.rewriting import REWRITES, applicable, rewritten
    from modelport.passes.simplification import Simplification, simplify
else:
    __getattr__, __dir__ = lazy.public_names(
        __name__,
        {
            "adoption": ("adopt",),
            "contract": ("Rewrite",),
            "linting": ("lint_for",),
            "preparation": ("prepare",),
            "rewriting": ("REWRITES", "applicable", "rewritten"),
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
