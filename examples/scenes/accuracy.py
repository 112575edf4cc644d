"""How well a bundle detects: the mean average precision on scenes that training never saw.

python accuracy.py detector.port                        # on the bundle's first target
python accuracy.py detector.port --target openvino:int8
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from scenes import CLASSES, HELD_OUT_PHOTOS, Scene, make_scene

import modelport

SCENES = 200
SEED = 1000
OVERLAP = 0.5
"""Intersection over union from which a box counts as that of a shape."""

Run = Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]


def main() -> None:
    """Prints the average precision of every class, and their mean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle")
    parser.add_argument("--target")
    arguments = parser.parse_args()
    engine = modelport.load(arguments.bundle, arguments.target)
    found = average_precisions(engine.run)
    for name, precision in zip(CLASSES, found, strict=True):
        print(f"{name:10} {precision:.3f}")
    print(f"{'mean':10} {np.mean(found):.3f}")


def mean_average_precision(run: Run) -> float:
    """The score that `modelport quantize --metric accuracy.py:mean_average_precision` asks for."""
    return float(np.mean(average_precisions(run)))


def held_out_scenes() -> Iterator[Scene]:
    """Pictures of many sizes, on photographs that were held out."""
    rng = np.random.default_rng(SEED)
    for _ in range(SCENES):
        height, width = (int(side) for side in rng.integers(140, 320, 2))
        yield make_scene(rng, height, width, HELD_OUT_PHOTOS)


def average_precisions(run: Run) -> list[float]:
    """Of every class, the area under precision over recall.

    As in PASCAL VOC from 2010 on (Everingham et al., 2015): boxes of all pictures go from the
    highest score down; one is right that overlaps a shape of its class which no box before it
    took; precision is made to fall only.

    Args:
        run: Function from ``image`` to ``boxes``, ``scores`` and ``labels``.

    Returns:
        A number from 0 to 1 for each of `CLASSES`.
    """
    counts = np.zeros(len(CLASSES), int)
    right: list[list[tuple[float, bool]]] = [[] for _ in CLASSES]
    for scene in held_out_scenes():
        found = run({"image": scene.picture})
        counts += np.bincount(scene.kinds, minlength=len(CLASSES))
        free = set(range(len(scene.kinds)))
        for index in np.argsort(-found["scores"], kind="stable"):
            label = int(found["labels"][index])
            over = _overlaps(found["boxes"][index], scene.boxes)
            over[[kind != label for kind in scene.kinds]] = 0
            best = int(over.argmax()) if len(over) else -1
            taken = best in free and over[best] >= OVERLAP
            free -= {best} if taken else set()
            right[label].append((float(found["scores"][index]), taken))
    return [_area(items, int(count)) for items, count in zip(right, counts, strict=True)]


def _overlaps(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    inner = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    both = inner.clip(0).prod(1)
    areas = (others[:, 2:] - others[:, :2]).prod(1)
    return both / ((box[2:] - box[:2]).prod() + areas - both)


def _area(items: list[tuple[float, bool]], count: int) -> float:
    ordered = sorted(items, key=lambda item: -item[0])
    hits = np.cumsum([hit for _, hit in ordered])
    precision = hits / np.arange(1, len(hits) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    return float(sum(falling[[hit for _, hit in ordered]]) / count)


if __name__ == "__main__":
    main()
