"""A loop over a length that stays a loop: ONNX's Scan."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from modelport.capture.torch_private.access import resolve

Tensors = Sequence[Tensor]
Step = Callable[[Tensors, Tensors, Tensors], tuple[Tensors, Tensors]]
"""From the state, one item of each sequence and what all steps share: the next state, outputs."""


def scan(
    step: Step, state: Tensors, sequences: Tensors, shared: Tensors = ()
) -> tuple[Tensors, Tensors]:
    """Goes through sequences along their first axis, for capture by dynamo alone.

    Args:
        step: What is done with each item. It uses no other tensors than those it is called with,
            and changes none of them.
        state: What the first step begins with; shapes and types stay the same.
        sequences: Of one length.
        shared: What each step is given as well.

    Returns:
        The last state, and every output with the items along the first axis.
    """
    count, items = len(state), len(sequences)

    def flat(*values: Tensor) -> list[Tensor]:
        results = step(values[:count], values[count : count + items], values[count + items :])
        return [_own(result) for part in results for result in part]

    results = resolve("scan")(
        flat, list(map(_own, state)), list(map(_own, sequences)), tuple(map(_own, shared))
    )
    return results[:count], results[count:]


def _own(tensor: Tensor) -> Tensor:
    """Torch makes no loop where arguments or results share memory, or strides come to differ."""
    return tensor.clone(memory_format=torch.contiguous_format)
