"""The detector, from a picture to boxes: `modelport deploy examples/scenes/recipe.py`."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from network import SIDE, load_detector
from scenes import CLASSES, HELD_OUT_PHOTOS, make_scene

import modelport
from modelport.pipeline import Result, steps


def recipe() -> modelport.Recipe:
    """Non-maximum suppression is inside of the graph."""
    rng = np.random.default_rng(1)
    return modelport.Recipe(
        model=load_detector(),
        args=(make_scene(rng, 200, 240, HELD_OUT_PHOTOS).picture,),
        preprocess=[steps.resize(SIDE, fit="letterbox"), steps.to_float(), steps.to_chw()],
        output_names=["boxes", "scores"],
        postprocess=[
            steps.nms(iou_threshold=0.5, score_threshold=0.2),
            steps.scale_boxes_back(),
            steps.clip_to_image(),
        ],
        result=Result("boxes", labels=CLASSES),
        name="scene detector",
    )
