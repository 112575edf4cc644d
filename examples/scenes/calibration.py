"""Pictures to read the ranges of int8 from: scenes on the photographs of training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scenes import make_scene

COUNT = 64


def pictures() -> Iterator[dict[str, np.ndarray]]:
    """The model's input by name: uint8 [H, W, 3]."""
    rng = np.random.default_rng(2000)
    for _ in range(COUNT):
        height, width = (int(side) for side in rng.integers(140, 320, 2))
        yield {"image": make_scene(rng, height, width).picture}
