"""From a 1920x1080 picture's bytes to 224x224 normalised planes: minima of calls, one thread"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from benchmarks.interleave import Row, interleave
from modelport.ops.library.image_to_tensor.op import image_to_tensor
from modelport.pipeline.synthetic_images import draw_picture

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
ROUNDS = 60


def normalised(small: np.ndarray) -> np.ndarray:
    """The way of NumPy."""
    floats = (small.astype(np.float32) / 255 - MEAN) / STD
    return np.ascontiguousarray(floats.transpose(2, 0, 1))[None]


def run() -> list[Row]:
    import cv2

    picture = draw_picture(np.random.default_rng(0), (1080, 1920, 3))
    tensor = torch.from_numpy(picture)
    values = torch.arange(256, dtype=torch.float32)[None]
    table = (values / 255 - torch.from_numpy(MEAN)[:, None]) / torch.from_numpy(STD)[:, None]
    cv2.setNumThreads(1)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        timings = interleave(
            {
                "opencv": lambda: normalised(cv2.resize(picture, (224, 224))),
                "plain": lambda: image_to_tensor(tensor, table, size=[224, 224], antialias=False),
                "pillow": lambda: normalised(
                    np.asarray(
                        Image.fromarray(picture).resize((224, 224), Image.Resampling.BILINEAR)
                    )
                ),
                "antialias": lambda: image_to_tensor(tensor, table, size=[224, 224]),
            },
            rounds=ROUNDS,
        )
    finally:
        torch.set_num_threads(before)
    rows = []
    for own, other, least in (("plain", "opencv", 1.0), ("antialias", "pillow", 2.0)):
        factor = timings[other].minimum / timings[own].minimum
        rows.append(
            Row(
                f"image_to_tensor, {own}, against {other} + numpy",
                f"{1e3 * timings[own].minimum:.2f} ms, {factor:.2f} times as fast as "
                f"{1e3 * timings[other].minimum:.2f} ms",
                f"at least {least:g} times as fast",
                factor >= least,
            )
        )
    return rows
