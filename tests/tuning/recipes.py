"""A model with products and sizes enough to be timed, as `modelport.Recipe`s."""

from __future__ import annotations

import torch

import modelport


def recipe() -> modelport.Recipe:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 8))
    return modelport.Recipe(
        model=net,
        args=(torch.rand(4, 64),),
        input_names=["x"],
        output_names=["y"],
        dynamic={"x": {0: modelport.Dim("batch", 1, 32)}},
        name="perceptron",
    )
