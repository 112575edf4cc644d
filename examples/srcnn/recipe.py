"""SRCNN that enlarges by 3: `modelport deploy examples/srcnn/recipe.py -o srcnn.port`."""

import torch
from model import load_srcnn
from photograph import low_resolution

import modelport
from modelport.files import images


def recipe() -> modelport.Recipe:
    """Recipe for any number of pictures of any size, captured on a real photograph."""
    picture = images.to_nchw(low_resolution()[:48, :72], "float32")
    return modelport.Recipe(
        model=load_srcnn(),
        args=(torch.from_numpy(picture),),
        input_names=["input"],
        output_names=["output"],
        dynamic={
            "input": {
                0: "batch",
                2: modelport.Dim("height", min=1, max=1024),
                3: modelport.Dim("width", min=1, max=1024),
            }
        },
        name="SRCNN x3",
    )
