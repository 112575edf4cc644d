"""Rewrites that may pay or not, by name: what `tune` tries."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

from modelport.errors import UsageError
from modelport.model import Model
from modelport.passes.base import Rewrite, apply_passes
from modelport.passes.registry import TUNE, passes_of
from modelport.passes.simplification import simplify
from modelport.passes.upsample_conv import merge_upsampling


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
    return [name for name, rewrite in _rewrites().items() if rewrite(model) is not model]


def rewritten(model: Model, names: Sequence[str]) -> Model:
    """A model after some rewrites, in their order; the model itself where there are none.

    Raises:
        UsageError: There is no rewrite of that name.
    """
    known = _rewrites()
    for name in names:
        if name not in known:
            raise UsageError(f"unknown rewrite {name!r}", fix=f"one of: {', '.join(known)}")
        model = known[name](model)
    return model


def _rewrites() -> dict[str, Callable[[Model], Model]]:
    """modelport's own, and the passes of other packages."""
    others = passes_of(TUNE).items()
    return {**{name: functools.partial(_passed, kind) for name, kind in others}, **REWRITES}


def _passed(kind: type[Rewrite], model: Model) -> Model:
    copy = model.copy()
    return copy if apply_passes([kind.of(copy)], copy.ir) else model
