"""Random pictures for a comparison: areas, edges and noise, as in photographs."""

from __future__ import annotations

import io

import numpy as np

from modelport.arrays import Array


def draw_picture(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """A picture of slopes and rectangles, with noise.

    Args:
        rng: The source of chance.
        shape: [..., H, W, C].

    Returns:
        uint8 of this shape.
    """
    height, width, channels = shape[-3:]
    rows = np.linspace(0, 1, height)[:, None, None]
    columns = np.linspace(0, 1, width)[None, :, None]
    made = np.empty(shape)
    for index in np.ndindex(shape[:-3]):
        base, down, across = rng.uniform(0, 255, (3, channels))
        picture = base + (down - base) * rows + (across - base) * columns
        for _ in range(6):
            top, left = rng.integers(0, height), rng.integers(0, width)
            bottom, right = top + rng.integers(1, height + 1), left + rng.integers(1, width + 1)
            picture[top:bottom, left:right] = rng.uniform(0, 255, channels)
        made[index] = picture
    noisy = made + rng.normal(0, 4, shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def draw_file(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """The bytes of a PNG file with such a picture, filled up with zeros.

    Args:
        rng: The source of chance.
        shape: [length]; at least a hundred or so.

    Returns:
        uint8 of this shape.
    """
    from PIL import Image

    length = shape[0]
    side = max(int((length / 6) ** 0.5), 4)
    while True:
        height, width = rng.integers(max(side // 2, 1), side + 1, 2)
        file = io.BytesIO()
        Image.fromarray(draw_picture(rng, (height, width, 3))).save(file, "PNG")
        data = np.frombuffer(file.getvalue(), np.uint8)
        if data.size <= length or side <= 1:
            break
        side = max(side * 3 // 4, 1)
    made = np.zeros(length, np.uint8)
    made[: data.size] = data[:length]
    return made
