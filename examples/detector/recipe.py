"""A detector from a picture to boxes: `modelport deploy examples/detector/recipe.py`."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "shapes"))

from networks import SIDE, Detector, load
from shapes import CLASSES, draw

import modelport
from modelport.pipeline import Result, steps


def recipe() -> modelport.Recipe:
    """Takes pictures of any size."""
    return modelport.Recipe(
        model=load(Detector()),
        args=(draw(np.random.default_rng(1), 96, 128, 2)[0],),
        preprocess=[steps.resize(SIDE, fit="letterbox"), steps.to_float(), steps.to_chw()],
        output_names=["boxes", "scores"],
        postprocess=[
            steps.boxes_from_centers(),
            steps.nms(iou_threshold=0.3, score_threshold=0.5),
            steps.scale_boxes_back(),
            steps.clip_to_image(),
            steps.crop_boxes(64),
        ],
        result=Result("boxes", labels=CLASSES),
        name="shape detector",
    )
