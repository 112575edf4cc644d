"""Trains the detector on generated scenes, in less than 20 minutes: `python train.py`."""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
import torch.nn.functional as F
from network import CHECKPOINT, SIDE, STRIDE, Detector
from scenes import CLASSES, Scene, make_scene
from torch import Tensor

SEED = 0
BATCH = 24
RATE = 4e-3
FOCUS = 2.0
"""Focal loss's exponent: what is already right counts little (Lin et al., 2017)."""


def main() -> None:
    """Draws the scenes, trains, and writes the checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=3000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--output", default=str(CHECKPOINT))
    arguments = parser.parse_args()
    rng = np.random.default_rng(SEED)
    scenes = [make_scene(rng, SIDE, SIDE) for _ in range(arguments.scenes)]
    torch.manual_seed(SEED)
    model = train(scenes, arguments.epochs)
    torch.save(model.state_dict(), arguments.output)


def train(scenes: list[Scene], epochs: int) -> Detector:
    """A detector that saw all scenes so many times, mirrored and turned by chance."""
    model = Detector().train().to(memory_format=torch.channels_last)
    planes = torch.from_numpy(np.stack([scene.picture for scene in scenes])).permute(0, 3, 1, 2)
    batches = len(scenes) // BATCH
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=epochs * batches)
    begin = time.monotonic()
    for epoch in range(epochs):
        total = 0.0
        for chosen in torch.randperm(len(scenes))[: batches * BATCH].split(BATCH):
            turned = [_turned(planes[index], scenes[index]) for index in chosen.tolist()]
            optimizer.zero_grad()
            pictures = torch.stack([item[0] for item in turned]).float() / 255
            loss = _loss(model, pictures.contiguous(memory_format=torch.channels_last), turned)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        took = time.monotonic() - begin
        print(
            f"epoch {epoch + 1} of {epochs}: loss {total / batches:.3f}, {took:.0f} s", flush=True
        )
    return model.eval()


Turned = tuple[Tensor, Tensor, Tensor]
"""A picture, the boxes on it, and their classes."""


def _turned(picture: Tensor, scene: Scene) -> Turned:
    boxes = torch.from_numpy(scene.boxes)
    if torch.rand(()) < 0.5:
        picture = picture.flip(2)
        boxes = torch.stack([SIDE - boxes[:, 2], boxes[:, 1], SIDE - boxes[:, 0], boxes[:, 3]], 1)
    if torch.rand(()) < 0.5:
        picture, boxes = picture.transpose(1, 2), boxes[:, [1, 0, 3, 2]]
    return picture, boxes, torch.from_numpy(scene.kinds)


def _loss(model: Detector, planes: Tensor, truth: list[Turned]) -> Tensor:
    raw = model.raw(planes)
    classes = torch.zeros(*raw.shape[:2], len(CLASSES))
    pictures, cells, targets = [], [], []
    for picture, (_, boxes, kinds) in enumerate(truth):
        for cell, box in zip(*_answering(model.cells[0], boxes), strict=True):
            classes[picture, cell, kinds[box]] = 1
            pictures.append(picture)
            cells.append(cell)
            targets.append(boxes[box])
    logits = raw[..., 4:]
    wrong = (classes - logits.detach().sigmoid()).abs() ** FOCUS
    certain = F.binary_cross_entropy_with_logits(logits, classes, weight=wrong, reduction="sum")
    if not targets:
        return certain / len(planes)
    far = 1 - overlaps(model.boxes(raw)[pictures, cells], torch.stack(targets))
    return (certain + 2 * far.sum()) / len(targets)


def _answering(cells: Tensor, boxes: Tensor) -> tuple[list[int], list[int]]:
    """The cells next to the middle of a shape, and the shape of each; small ones first."""
    middles, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    near = (cells[:, None] - middles).abs().amax(2) < STRIDE
    areas = torch.where(near, sizes.prod(1), torch.inf)
    places = near.any(1).nonzero().flatten()
    return places.tolist(), areas[places].argmin(1).tolist()


def overlaps(boxes: Tensor, others: Tensor) -> Tensor:
    """Generalised intersection over union of pairs (Rezatofighi et al., 2019): [n, 4] -> [n]."""
    inner = torch.minimum(boxes[:, 2:], others[:, 2:]) - torch.maximum(boxes[:, :2], others[:, :2])
    outer = torch.maximum(boxes[:, 2:], others[:, 2:]) - torch.minimum(boxes[:, :2], others[:, :2])
    both = inner.clamp(min=0).prod(1)
    either = sum((item[:, 2:] - item[:, :2]).prod(1) for item in (boxes, others)) - both
    hull = outer.prod(1)
    return both / either - (hull - either) / hull


if __name__ == "__main__":
    main()
