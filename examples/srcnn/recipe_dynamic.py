"""SRCNN whose scale is an input, so that one graph enlarges by 2, 3 and 4."""

import numpy as np
import torch
from model import load_dynamic_srcnn
from photograph import low_resolution

import modelport
from modelport.files import images


def scales(factor: float) -> torch.Tensor:
    """The input ``scales``, float32 [4], that enlarges height and width by a factor."""
    return torch.tensor([1.0, 1.0, factor, factor])


def draw_scales(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Values of ``scales`` for verification: a whole factor for height and one for width."""
    drawn = np.ones(shape, np.float32)
    drawn[2:] = rng.integers(2, 5, size=2)
    return drawn


def recipe() -> modelport.Recipe:
    """Recipe that is captured at 3 and verified at 2, 3 and 4."""
    picture = torch.from_numpy(images.to_nchw(low_resolution()[:48, :72], "float32"))
    return modelport.Recipe(
        model=load_dynamic_srcnn(),
        args=(picture, scales(3)),
        input_names=["input", "scales"],
        output_names=["output"],
        dynamic={"input": {0: "batch", 2: "height", 3: "width"}},
        values={"scales": draw_scales},
        cases=[(picture, scales(factor)) for factor in (2, 3, 4)],
        name="SRCNN with a scale at run time",
    )
