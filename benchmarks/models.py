"""The models that speed and precision are measured on, each at one size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

import modelport
from modelport.recipe import load_recipe
from tests.models.resnet import resnet50
from tests.models.tagger import tagger
from tests.models.unet import unet
from tests.models.vit import vit_s16

EXAMPLES = Path(__file__).parent.parent / "examples"


def srcnn() -> modelport.Recipe:
    """The trained super-resolution network, three times larger, on a picture of 256 by 256."""
    model = load_recipe(EXAMPLES / "srcnn" / "recipe.py").model
    picture = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0)) * 255
    return modelport.Recipe(model, (picture,), input_names=["input"], output_names=["output"])


def _images(factory: Callable[[], torch.nn.Module], size: int) -> Callable[[], modelport.Recipe]:
    def make() -> modelport.Recipe:
        picture = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
        return modelport.Recipe(factory(), (picture,), input_names=["image"])

    return make


def _tagger() -> modelport.Recipe:
    tokens = torch.randint(0, 20000, (8, 64), generator=torch.Generator().manual_seed(0))
    return modelport.Recipe(tagger(), (tokens,), input_names=["tokens"])


def _encoder() -> modelport.Recipe:
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(512, 8, 2048, batch_first=True)
    model = torch.nn.TransformerEncoder(layer, 6, enable_nested_tensor=False).eval()
    return modelport.Recipe(model, (torch.randn(1, 128, 512),), input_names=["x"])


MODELS: dict[str, Callable[[], modelport.Recipe]] = {
    "srcnn": srcnn,
    "resnet50": _images(resnet50, 224),
    "vit": _images(vit_s16, 224),
    "unet": _images(unet, 256),
    "tagger": _tagger,
    "encoder": _encoder,
}
"""SRCNN x3 of 256x256, ResNet-50 and ViT-12/384 of 224x224, a U-Net of 256x256, an LSTM tagger of 8
sentences of 64 words, and a transformer encoder of 6 layers, by the name that a benchmark knows."""
