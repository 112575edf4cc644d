"""Scenes, made by chance: shapes of all sizes, turned and lit by chance, on photographs.

The photographs ship inside the scikit-image package, so nothing is downloaded. Two of them are
held out: the scenes that judge stand on grounds that training never saw.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skimage
from PIL import Image

CLASSES = ("disc", "ring", "square", "triangle", "cross")
PHOTO_FOLDER = Path(skimage.__file__).parent / "data"
TRAINING_PHOTOS = (
    "astronaut.png",
    "camera.png",
    "coins.png",
    "motorcycle_left.png",
    "rocket.jpg",
)
HELD_OUT_PHOTOS = ("chelsea.png", "coffee.png")
MOST_OVERLAP = 0.1
"""Allowed overlap: the share of the smaller of two boxes that the other may cover."""


@dataclass(frozen=True)
class Scene:
    """A picture and what is on it.

    Attributes:
        picture: uint8 [H, W, 3].
        boxes: float32 [n, 4]: x1, y1, x2, y2 in pixels.
        kinds: int64 [n]: places in `CLASSES`.
    """

    picture: np.ndarray
    boxes: np.ndarray
    kinds: np.ndarray


def make_scene(
    rng: np.random.Generator, height: int, width: int, photos: Sequence[str] = TRAINING_PHOTOS
) -> Scene:
    """Puts one to six shapes on a piece of a photograph.

    Args:
        rng: The source of chance.
        height: Height of the picture.
        width: Width of the picture.
        photos: Names of photographs to choose from.
    """
    picture = _ground(rng, height, width, photos)
    boxes: list[tuple[float, ...]] = []
    kinds: list[int] = []
    for _ in range(int(rng.integers(1, 7))):
        half = rng.uniform(0.06, 0.2) * min(height, width)
        x, y = (float(rng.uniform(half, side - half)) for side in (width, height))
        if any(_covered((x - half, y - half, x + half, y + half), box) for box in boxes):
            continue
        kind = int(rng.integers(len(CLASSES)))
        box = _paint(rng, picture, CLASSES[kind], x, y, half)
        boxes.append(box)
        kinds.append(kind)
    picture += rng.normal(0, rng.uniform(0, 8), picture.shape)
    made = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return Scene(made, np.array(boxes, np.float32).reshape(-1, 4), np.array(kinds, np.int64))


@functools.cache
def _photo(name: str) -> Image.Image:
    return Image.open(PHOTO_FOLDER / name).convert("RGB")


def _ground(rng: np.random.Generator, height: int, width: int, photos: Sequence[str]) -> np.ndarray:
    """A piece of a photograph, at a scale and a brightness by chance: float [H, W, 3]."""
    photo = _photo(photos[int(rng.integers(len(photos)))])
    scale = rng.uniform(0.4, 1) * min(photo.width / width, photo.height / height)
    across, down = scale * width, scale * height
    x, y = rng.uniform(0, photo.width - across), rng.uniform(0, photo.height - down)
    piece = photo.resize((width, height), Image.Resampling.BILINEAR, (x, y, x + across, y + down))
    if rng.random() < 0.5:
        piece = piece.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(piece, np.float64) * rng.uniform(0.6, 1.2)


def _covered(box: Sequence[float], other: Sequence[float]) -> bool:
    across = min(box[2], other[2]) - max(box[0], other[0])
    down = min(box[3], other[3]) - max(box[1], other[1])
    least = min((item[2] - item[0]) * (item[3] - item[1]) for item in (box, other))
    return across > 0 and down > 0 and across * down > MOST_OVERLAP * least


def _paint(
    rng: np.random.Generator, picture: np.ndarray, kind: str, x: float, y: float, half: float
) -> tuple[float, ...]:
    """Paints a shape, and returns the box around it."""
    left, top = max(int(x - half) - 1, 0), max(int(y - half) - 1, 0)
    window = picture[top : int(y + half) + 3, left : int(x + half) + 3]
    rows, columns = np.mgrid[: window.shape[0], : window.shape[1]] + 0.5
    turn = rng.uniform(0, 2 * math.pi)
    across, down = columns + left - x, rows + top - y
    u = across * math.cos(turn) + down * math.sin(turn)
    v = down * math.cos(turn) - across * math.sin(turn)
    # Distances to the edge give soft edges.
    cover = np.clip(0.5 - _distance(kind, u, v, half), 0, 1)
    color = (window[cover > 0.5].mean(0) + rng.uniform(60, 195, 3)) % 255
    slope = 1 + rng.uniform(-0.25, 0.25) * u / half
    opaque = (cover * rng.uniform(0.8, 1))[..., None]
    window[:] = window * (1 - opaque) + color * slope[..., None] * opaque
    down_in, across_in = (np.flatnonzero((cover > 0.5).any(axis)) for axis in (1, 0))
    return tuple(
        float(number)
        for number in (
            *(left + across_in[0], top + down_in[0]),
            *(left + across_in[-1] + 1, top + down_in[-1] + 1),
        )
    )


def _distance(kind: str, u: np.ndarray, v: np.ndarray, half: float) -> np.ndarray:
    """Signed distance of points from a shape's edge, in pixels; below 0 inside."""
    away = np.hypot(u, v)
    if kind == "disc":
        return away - half
    if kind == "ring":
        return np.abs(away - 0.75 * half) - 0.25 * half
    if kind == "triangle":
        # Three edges, half as far from the middle as the corners.
        normals = (math.pi * (1 / 6 + 2 / 3 * edge) for edge in range(3))
        edges = [u * math.cos(angle) + v * math.sin(angle) for angle in normals]
        return np.max(edges, 0) - half / 2
    # A square and a cross turn within the circle of their corners.
    inner = half * math.sqrt(0.5)
    square = np.maximum(np.abs(u), np.abs(v)) - inner
    if kind == "square":
        return square
    arms = np.minimum(np.abs(u), np.abs(v)) - inner / 3
    return np.maximum(square, arms)
