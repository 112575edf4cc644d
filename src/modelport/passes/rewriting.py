"""Rewrites that may pay or not, by name: what `tune` tries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from modelport.errors import UsageError
from modelport.model import Model
from modelport.passes.simplification import simplify
from modelport.passes.upsampling import merge_upsampling


def _simplified(model: Model) -> Model:
    return simplify(model, check=False).model


REWRITES: Mapping[str, Callable[[Model], Model]] = {
    "simplify": _simplified,
    "merge-upsampling": merge_upsampling,
}
"""From a model, which stays as it is, to one that computes the same: itself where nothing is to be
rewritten."""


def applicable(model: Model) -> list[str]:
    """The names of the rewrites that change a model."""
    return [name for name, rewrite in REWRITES.items() if rewrite(model) is not model]


def rewritten(model: Model, names: Sequence[str]) -> Model:
    """A model after some rewrites, in their order; the model itself where there are none.

    Raises:
        UsageError: There is no rewrite of that name.
    """
    for name in names:
        if name not in REWRITES:
            raise UsageError(f"unknown rewrite {name!r}", fix=f"one of: {', '.join(REWRITES)}")
        model = REWRITES[name](model)
    return model
