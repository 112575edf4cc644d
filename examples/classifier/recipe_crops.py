"""The classifier for many small pictures at once, such as a detector's crops."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "shapes"))

from networks import Classifier, load
from shapes import CLASSES, draw

import modelport
from modelport.pipeline import Result, steps


def recipe() -> modelport.Recipe:
    """Takes pictures of 64 by 64, any number of them."""
    crops = np.stack([draw(np.random.default_rng(seed), 64, 64)[0] for seed in range(3)])
    return modelport.Recipe(
        model=load(Classifier()),
        args=(crops,),
        preprocess=[steps.to_float(), steps.to_chw()],
        postprocess=[steps.softmax(), steps.top_k(1)],
        dynamic={"image": {0: "batch"}},
        result=Result("classes", labels=CLASSES),
        name="shape classifier, many at once",
    )
