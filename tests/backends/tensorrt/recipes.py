"""Recipes of the architectures that engines are built of, with ranges to plan for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from modelport import Dim, Recipe
from modelport.recipe import load_recipe
from tests.export.corpus.entry import integers, randn
from tests.models.decoder import decoder
from tests.models.detector import detection_head
from tests.models.resnet import resnet50
from tests.models.tagger import tagger
from tests.models.unet import unet
from tests.models.vit import vit_s16

SRCNN = Path(__file__).parents[3] / "examples" / "srcnn"
BATCH = Dim("batch", 1, 8)
PICTURES = {"image": {0: BATCH}}
SIZES = {2: Dim("height", 16, 512), 3: Dim("width", 16, 512)}
LAYERS = 8


def _srcnn_fixed() -> Recipe:
    """The example with nothing dynamic."""
    recipe = load_recipe(SRCNN / "recipe.py")
    return recipe.with_options(dynamic={}, args=(torch.rand(1, 3, 64, 64) * 255,), cases=())


def _srcnn_dynamic() -> Recipe:
    recipe = load_recipe(SRCNN / "recipe.py")
    return recipe.with_options(dynamic={"input": {0: BATCH, **SIZES}}, capture="trace")


def _decoder() -> Recipe:
    model = decoder()
    past, new, batch = Dim("past", 0, 256), Dim("new", 1, 64), Dim("batch", 1, 4)
    cached = {
        f"past_{layer}_{part}": {0: batch, 2: past} for layer in range(LAYERS) for part in range(2)
    }
    return Recipe(
        model,
        args=(integers(8000, 2, 4), model.random_past(2, 6)),
        dynamic={"tokens": {0: batch, 1: new}, **cached},
    )


def _detection_head() -> Recipe:
    maps = tuple(randn(2, 256, 320 // s, 320 // s, seed=s).relu() for s in (8, 16, 32))
    names = ["fine", "middle", "coarse"]
    return Recipe(
        detection_head(), args=maps, input_names=names, dynamic={name: {0: BATCH} for name in names}
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    "srcnn-fixed": _srcnn_fixed,
    "srcnn": _srcnn_dynamic,
    "resnet50": lambda: Recipe(
        resnet50(), args=(randn(2, 3, 224, 224),), input_names=["image"], dynamic=PICTURES
    ),
    "vit-s16": lambda: Recipe(
        vit_s16(), args=(randn(2, 3, 224, 224),), input_names=["image"], dynamic=PICTURES
    ),
    "unet": lambda: Recipe(
        unet(),
        args=(randn(2, 3, 128, 128),),
        input_names=["image"],
        dynamic={"image": {0: BATCH, **SIZES}},
    ),
    "tagger": lambda: Recipe(
        tagger(),
        args=(integers(20000, 2, 12),),
        input_names=["tokens"],
        dynamic={"tokens": {0: BATCH, 1: Dim("length", 1, 256)}},
    ),
    "decoder": _decoder,
    "detection-head": _detection_head,
}
"""By name; each is one of the issue's architectures."""
