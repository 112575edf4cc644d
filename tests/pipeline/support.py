"""What the tests of the pipeline have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

import modelport
from modelport.pipeline import assemble
from modelport.pipeline.synthetic_images import draw_picture


def picture(height: int, width: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return draw_picture(np.random.default_rng(seed), (height, width, 3))


class Given(torch.nn.Module):
    """A model that gives what it was made with, whatever it is given."""

    def __init__(self, *outputs: Any) -> None:
        super().__init__()
        for number, output in enumerate(outputs):
            self.register_buffer(f"output_{number}", torch.as_tensor(output))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(buffer + 0 * image.flatten()[0].to(buffer.dtype) for buffer in self.buffers())


def run(
    image: Any,
    before: Sequence[Any] = (),
    after: Sequence[Any] = (),
    model: Any = None,
    **more: Any,
) -> dict[str, np.ndarray[Any, Any]]:
    """What steps around a model give in PyTorch, by name."""
    recipe = modelport.Recipe(
        model or torch.nn.Identity(), args=(image,), preprocess=before, postprocess=after, **more
    )
    assembled = assemble(recipe)
    with torch.no_grad():
        outputs = assembled.model(*assembled.args)
    names = assembled.output_names or []
    return {name: output.numpy() for name, output in zip(names, outputs, strict=True)}


def only(outputs: dict[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    (output,) = outputs.values()
    return output
