"""The detector that `modelport quantize` wrote to build/scenes-int8.onnx, as a recipe."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from scenes import CLASSES

import modelport
from modelport.pipeline import Result


def recipe() -> modelport.Recipe:
    """Pre- and post-processing are in the file already."""
    return modelport.Recipe(
        "build/scenes-int8.onnx",
        result=Result("boxes", labels=CLASSES),
        name="scene detector, int8",
    )
