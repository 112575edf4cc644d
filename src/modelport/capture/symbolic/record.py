"""One eager run of a model that leaves everything as it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from modelport.capture.module_snapshot import unchanged
from modelport.capture.torch_private import dispatch

_SMALL = 1 << 16
"""Elements up to which a recorded tensor is copied, so that later writes do not change it."""


def run_unchanged(model: torch.nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Runs a model on copies of its inputs, and puts its state and that of chance back.

    Args:
        model: The model.
        args: Its inputs.
        kwargs: Its keyword inputs.
    """
    copied_args, copied_kwargs = dispatch.tree_map(_copy, (args, dict(kwargs)))
    with unchanged(model), torch.random.fork_rng(), torch.no_grad():
        model(*copied_args, **copied_kwargs)


def keep(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Keeps a call's arguments for later."""

    def hold(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        held = value.detach()
        return held.clone() if held.numel() <= _SMALL else held

    kept: tuple[Any, ...] = dispatch.tree_map(hold, args)
    return kept


def _copy(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, torch.Tensor) else value
