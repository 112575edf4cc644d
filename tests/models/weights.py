"""Seeded random weights that keep activations of a sane size from the first layer to the last."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


@torch.no_grad()
def randomize(model: Module, seed: int = 0) -> Module:
    """Fills a model with random weights, and puts it into evaluation mode.

    Convolutions and linear layers keep the variance of what they are given (He et al. 2015 for
    convolutions, which ReLUs follow), biases are small, and normalizations have scales and running
    statistics that are not trivial.

    Args:
        model: The model, changed in place.
        seed: Seed of the weights.

    Returns:
        The same model.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(tensor: torch.Tensor | None, std: float, mean: float = 0.0) -> None:
        if tensor is not None:
            tensor.normal_(mean, std, generator=generator)

    def uniform(tensor: torch.Tensor, low: float, high: float) -> None:
        tensor.uniform_(low, high, generator=generator)

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            fan_in = module.weight[0].numel()
            if isinstance(module, nn.ConvTranspose2d):
                # Each output pixel is reached by one kernel position where stride equals size.
                fan_in = module.in_channels
            normal(module.weight, (2.0 / fan_in) ** 0.5)
            normal(module.bias, 0.1)
        elif isinstance(module, nn.Linear):
            normal(module.weight, module.in_features**-0.5)
            normal(module.bias, 0.1)
        elif isinstance(module, nn.Embedding):
            normal(module.weight, 1.0)
        elif isinstance(module, nn.BatchNorm2d):
            uniform(module.weight, 0.6, 1.2)
            normal(module.bias, 0.1)
            assert module.running_mean is not None
            assert module.running_var is not None
            normal(module.running_mean, 0.2)
            uniform(module.running_var, 0.6, 1.6)
        elif isinstance(module, nn.LayerNorm):
            uniform(module.weight, 0.6, 1.2)
            normal(module.bias, 0.1)
        elif isinstance(module, nn.LSTM):
            for parameter in module.parameters():
                normal(parameter, module.hidden_size**-0.5)
    return model.eval()
