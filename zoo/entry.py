"""Models of a family, and their common code: weights and example inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn

from modelport import Dim, Recipe

Module = TypeVar("Module", bound=nn.Module)
_CONSTANT_SPREAD = 0.1
"""Spread of weights that a library initializes to one value: a scale of 1e-6 hides a layer."""


@dataclass(frozen=True)
class Entry:
    """A model of the zoo.

    Attributes:
        name: ``family/model``.
        recipe: Makes what is to be deployed; the model's weights are drawn anew, by a fixed seed.
    """

    name: str
    recipe: Callable[[], Recipe]

    @property
    def family(self) -> str:
        """The part of the name before the stroke."""
        return self.name.partition("/")[0]


@torch.no_grad()
def enliven(model: Module, seed: int = 0) -> Module:
    """Moves weights and statistics that are one number throughout, and evaluates from then on.

    What is initialized to 0, 1 or 1e-6 (a last layer, a normalization, a layer scale, a running
    mean) would hide the layers before it: a verification of such a model proves little.

    Args:
        model: The model, changed in place.
        seed: Seed of the numbers.
    """
    generator = torch.Generator().manual_seed(seed)
    statistics = [tensor for name, tensor in model.named_buffers() if "running_" in name]
    for tensor in [*model.parameters(), *statistics]:
        if tensor.is_floating_point() and tensor.numel() and (tensor == tensor.flatten()[0]).all():
            size = 1.0 if 0 < tensor.flatten()[0].abs() < 0.5 else 0.0
            noise = torch.rand(tensor.shape, generator=generator) - 0.5
            tensor.copy_(tensor * (1 - size) + size * 0.5 + 2 * _CONSTANT_SPREAD * noise)
    return model.eval()


@torch.no_grad()
def settle(model: Module, *args: Any) -> Module:
    """Gives batch normalizations the statistics of what reaches them.

    Without it, activations of a deep model with random weights vanish or overflow.

    Args:
        model: The model, changed in place.
        *args: Inputs that it takes.
    """
    norms = [item for item in model.modules() if isinstance(item, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = None
        norm.reset_running_stats()
    if norms:
        model(*args)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.eval()
        norm.momentum = momentum
    return model


def seeded(build: Callable[..., Module], *args: Any, **kwargs: Any) -> Module:
    """A model built with weights of a fixed seed, and enlivened."""
    torch.manual_seed(0)
    return enliven(build(*args, **kwargs))


def numbers(*shape: int, seed: int = 1) -> torch.Tensor:
    """Standard normal numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def integers(high: int, *shape: int, low: int = 0, seed: int = 2) -> torch.Tensor:
    """Integers in low <= i < high."""
    return torch.randint(low, high, shape, generator=torch.Generator().manual_seed(seed))


def images(
    model: nn.Module,
    size: int | tuple[int, int] = 64,
    *,
    channels: int = 3,
    multiple: int = 1,
    fixed: bool = False,
    least: int | None = None,
    batch: int = 2,
    **options: Any,
) -> Recipe:
    """A recipe for a model of one batch of images, [N, C, H, W].

    Args:
        model: The model.
        size: The example's size, or height and width.
        channels: Channels.
        multiple: What height and width must be multiples of.
        fixed: Height and width are fixed.
        least: The smallest height and width that the model takes; half of the example's if
            None.
        batch: The example's batch.
        **options: Further fields of the recipe.
    """
    height, width = (size, size) if isinstance(size, int) else size
    settle(model, numbers(4, channels, height, width, seed=7))
    name = next(iter(_parameters(model)))
    axes: dict[int, Any] = {0: "batch"}
    if not fixed:
        low = least or min(height, width) // 2
        axes[2] = Dim("height", low, 2 * height, multiple)
        axes[3] = Dim("width", low, 2 * width, multiple)
    example = numbers(batch, channels, height, width)
    return Recipe(model, (example,), dynamic={name: axes}, **options)


def keyword(
    model: nn.Module,
    inputs: Mapping[str, torch.Tensor],
    axes: Mapping[str, Mapping[int, Any]] | Mapping[int, Any] | Sequence[str],
    **options: Any,
) -> Recipe:
    """A recipe for a model that is called by keyword.

    Args:
        model: The model.
        inputs: Example tensors by keyword.
        axes: Dynamic axes of every input, by its name; or one mapping for all of them; or names of
            the first axes of all of them.
        **options: Further fields of the recipe.
    """
    if not isinstance(axes, Mapping):
        axes = dict(enumerate(axes))
    if not any(name in inputs for name in axes):
        axes = {
            name: {axis: dim for axis, dim in axes.items() if axis < tensor.ndim}
            for name, tensor in inputs.items()
        }
    return Recipe(model, (), kwargs=dict(inputs), dynamic=axes, **options)


def _parameters(model: nn.Module) -> Mapping[str, Any]:
    import inspect

    return inspect.signature(model.forward).parameters
