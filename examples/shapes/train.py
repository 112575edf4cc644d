"""Trains the networks on pictures of shapes, in some minutes on the CPU: `python train.py`."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from networks import SIDE, STRIDE, Classifier, Detector, Segmenter, weights_of
from shapes import CLASSES, draw
from torch import Tensor, nn

Truth = list[tuple[np.ndarray, ...]]


def pictures_of(seed: int, count: int, shapes: int) -> tuple[Tensor, Truth]:
    """Pictures of up to so many shapes: planes [count, 3, H, W], and what is on each."""
    rng = np.random.default_rng(seed)
    drawn = [draw(rng, SIDE, SIDE, int(rng.integers(1, shapes + 1))) for _ in range(count)]
    planes = torch.from_numpy(np.stack([item[0] for item in drawn])).permute(0, 3, 1, 2)
    return planes.float() / 255, [item[1:] for item in drawn]


def train(
    model: nn.Module,
    loss: Callable[[nn.Module, Tensor, Truth], Tensor],
    shapes: int,
    epochs: int,
    pool: int,
    rate: float,
) -> None:
    """Trains a network, and writes its weights; the same for the same version of PyTorch."""
    planes, truth = pictures_of(0, pool, shapes)
    steps, batch = pool // 32, 32
    optimizer = torch.optim.AdamW(model.parameters(), rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=epochs * steps)
    model.train()
    for _ in range(epochs):
        for chosen in torch.randperm(pool)[: steps * batch].split(batch):
            optimizer.zero_grad()
            loss(model, planes[chosen], [truth[index] for index in chosen.tolist()]).backward()
            optimizer.step()
            schedule.step()
    torch.save(model.state_dict(), weights_of(model))


def of_classes(model: nn.Module, planes: Tensor, truth: Truth) -> Tensor:
    """The classifier's loss."""
    return F.cross_entropy(model(planes), torch.tensor([kinds[0] for kinds, _, _ in truth]))


def of_masks(model: nn.Module, planes: Tensor, truth: Truth) -> Tensor:
    """The segmenter's loss."""
    masks = torch.from_numpy(np.stack([mask for *_, mask in truth]))
    # There is much more ground than anything else.
    return F.cross_entropy(model(planes), masks, torch.tensor([0.3, 1.0, 1.0, 1.0]))


def of_boxes(model: nn.Module, planes: Tensor, truth: Truth) -> Tensor:
    """The detector's loss: the cells around the middle of a shape answer for it."""
    raw = model.raw(planes)
    classes = torch.zeros(raw.shape[0], raw.shape[1], len(CLASSES))
    far = torch.zeros(())
    for picture, (kinds, boxes, _) in enumerate(truth):
        for kind, (x1, y1, x2, y2) in zip(kinds, boxes, strict=True):
            middle = torch.tensor([(x1 + x2) / 2, (y1 + y2) / 2], dtype=torch.float32)
            size = torch.tensor([x2 - x1, y2 - y1], dtype=torch.float32)
            near = (model.cells[0] - middle).abs().amax(1) < 0.75 * STRIDE
            classes[picture, near, kind] = 1
            offset = (middle - model.cells[0][near]) / STRIDE
            target = torch.cat([offset, (size / STRIDE).log().expand_as(offset)], 1)
            far = far + F.smooth_l1_loss(raw[picture, near, :4], target, reduction="sum")
    certain = F.binary_cross_entropy_with_logits(raw[..., 4:], classes, reduction="sum")
    return (certain + 2 * far) / raw.shape[0]


def main(names: list[str]) -> None:
    """Trains the networks named, or all of them."""
    plans = {
        "classifier": (Classifier, of_classes, 1, 8, 1500, 4e-3),
        "segmenter": (Segmenter, of_masks, 3, 12, 600, 8e-3),
        "detector": (Detector, of_boxes, 3, 14, 1500, 4e-3),
    }
    for name in names or plans:
        network, loss, *plan = plans[name]
        torch.manual_seed(0)
        train(network(), loss, *plan)


if __name__ == "__main__":
    main(sys.argv[1:])
