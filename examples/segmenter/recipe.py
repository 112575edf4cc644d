"""A segmenter from picture to pixels: `modelport deploy examples/segmenter/recipe.py`."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "shapes"))

from networks import SIDE, Segmenter, load
from shapes import CLASSES, draw

import modelport
from modelport.pipeline import Result, steps


def recipe() -> modelport.Recipe:
    """Takes pictures of any size."""
    return modelport.Recipe(
        model=load(Segmenter()),
        args=(draw(np.random.default_rng(1), 96, 128, 2)[0],),
        preprocess=[steps.resize(SIDE, fit="letterbox"), steps.to_float(), steps.to_chw()],
        postprocess=[steps.resize_mask(), steps.argmax()],
        result=Result("mask", labels=("ground", *CLASSES)),
        name="shape segmenter",
    )
