"""Pictures of shapes, made by chance: one shape on a noisy ground, with its class, box and mask."""

from __future__ import annotations

import numpy as np

CLASSES = ("square", "disc", "cross")


def ground(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A noisy slope of one color: float [H, W, 3]."""
    begin, end = rng.uniform(40, 215, (2, 3))
    slope = np.linspace(0, 1, height)[:, None, None]
    return begin + (end - begin) * slope + rng.normal(0, 6, (height, width, 3))


def inside(kind: int, height: int, width: int, x: float, y: float, half: float) -> np.ndarray:
    """Mask of a shape: bool [H, W]."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    across, down = np.abs(columns - x), np.abs(rows - y)
    if CLASSES[kind] == "disc":
        return across**2 + down**2 < half**2
    square = (across < half) & (down < half)
    return (
        square & ((across < half / 3) | (down < half / 3)) if CLASSES[kind] == "cross" else square
    )


def draw(
    rng: np.random.Generator, height: int, width: int, count: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A picture with some shapes.

    Args:
        rng: The source of chance.
        height: Height of the picture.
        width: Width of the picture.
        count: How many shapes, which do not meet.

    Returns:
        The picture, uint8 [H, W, 3]; the shapes' classes [n]; their boxes, x1, y1, x2, y2, [n, 4];
        and the class of every pixel, 0 for the ground, [H, W].
    """
    picture = ground(rng, height, width)
    mask = np.zeros((height, width), np.int64)
    kinds: list[int] = []
    boxes: list[list[float]] = []
    side = min(height, width)
    for _ in range(50 * count):
        if len(kinds) == count:
            break
        half = rng.uniform(0.13, 0.22) * side
        x, y = rng.uniform(half, width - half), rng.uniform(half, height - half)
        box = [x - half, y - half, x + half, y + half]
        if any(_meet(box, other) for other in boxes):
            continue
        kind = int(rng.integers(len(CLASSES)))
        covered = inside(kind, height, width, x, y, half)
        # Well off the ground's colors, whatever these are.
        picture[covered] = (picture[covered].mean(0) + rng.uniform(90, 165, 3)) % 255
        mask[covered] = kind + 1
        kinds.append(kind)
        boxes.append(box)
    made = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return made, np.array(kinds), np.array(boxes).reshape(-1, 4), mask


def _meet(box: list[float], other: list[float]) -> bool:
    return all(
        min(box[axis + 2], other[axis + 2]) + 2 > max(box[axis], other[axis]) for axis in (0, 1)
    )
