"""A classifier from a picture to names: `modelport deploy examples/classifier/recipe.py`."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "shapes"))

from networks import Classifier, load
from shapes import CLASSES, draw

import modelport
from modelport.pipeline import Result, steps


def recipe() -> modelport.Recipe:
    """Takes pictures of any size."""
    return modelport.Recipe(
        model=load(Classifier()),
        args=(draw(np.random.default_rng(1), 120, 160)[0],),
        preprocess=[
            steps.resize(64, fit="shorter"),
            steps.center_crop(64),
            steps.to_float(),
            steps.to_chw(),
        ],
        postprocess=[steps.softmax(), steps.top_k(3)],
        result=Result("classes", labels=CLASSES),
        name="shape classifier",
    )
