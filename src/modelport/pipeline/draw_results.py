"""Results drawn on pictures: uint8 [H, W, 3]; the result is a new picture."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Any

import numpy as np

from modelport.arrays import Array


def color_of(number: int) -> tuple[int, int, int]:
    """A color for a class: fixed for a number, and different from those of its neighbours."""
    # Steps of the golden ratio never come close to where they have been.
    hue = (0.1 + number * 0.6180339887498949) % 1
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def with_boxes(picture: Array, boxes: Array, texts: Sequence[str], numbers: Sequence[int]) -> Array:
    """Draws boxes, each with a text.

    Args:
        picture: The picture.
        boxes: [n, 4]: x1, y1, x2, y2 in pixels.
        texts: A text for each.
        numbers: The number of each one's class, which decides on the color.
    """
    image, draw = _canvas(picture)
    for box, text, number in zip(boxes.tolist(), texts, numbers, strict=True):
        x1, y1, x2, y2 = box
        # Edges lie between pixels.
        draw.rectangle(
            (x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=color_of(number), width=2
        )
        _write(draw, (x1 + 2, y1 + 1), text)
    return np.asarray(image)


def with_lines(picture: Array, lines: Sequence[str]) -> Array:
    """Draws lines of text in the upper left corner."""
    image, draw = _canvas(picture)
    _write(draw, (2, 1), "\n".join(lines))
    return np.asarray(image)


def with_points(picture: Array, points: Array) -> Array:
    """Draws a dot at every point, [n, 2] as x, y."""
    image, draw = _canvas(picture)
    for number, (x, y) in enumerate(points.tolist()):
        draw.ellipse((x - 2.5, y - 2.5, x + 1.5, y + 1.5), fill=color_of(number))
    return np.asarray(image)


def with_mask(picture: Array, mask: Array) -> Array:
    """Blends every pixel with the color of its class; class 0 is not changed."""
    numbers, index = np.unique(mask, return_inverse=True)
    colors = np.array([color_of(number) for number in numbers.tolist()])[index.reshape(mask.shape)]
    mixed = (picture.astype(np.uint16) + colors.astype(np.uint16)) // 2
    made: Array = np.where((mask == 0)[..., None], picture, mixed).astype(np.uint8)
    return made


def _canvas(picture: Array) -> Any:
    from PIL import Image, ImageDraw

    image = Image.fromarray(np.ascontiguousarray(picture)).convert("RGB")
    return image, ImageDraw.Draw(image)


def _write(draw: Any, corner: tuple[float, float], text: str) -> None:
    draw.multiline_text(corner, text, fill="white", stroke_width=1, stroke_fill="black")
