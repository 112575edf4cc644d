"""SRCNN from a PNG file's bytes to a picture: `modelport deploy examples/srcnn/recipe_png.py`."""

from model import load_srcnn
from photograph import low_resolution

import modelport
from modelport.files import images
from modelport.pipeline import Result, steps


def recipe() -> modelport.Recipe:
    """Recipe whose graph decodes the file itself, by onnxruntime-extensions."""
    return modelport.Recipe(
        model=load_srcnn(),
        args=(images.encode(low_resolution()[:48, :72]),),
        preprocess=[steps.decode_image(), steps.to_float(divisor=1), steps.to_chw()],
        postprocess=[steps.to_image()],
        result=Result("picture"),
        name="SRCNN x3, from a file",
    )
