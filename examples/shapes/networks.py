"""Small networks for pictures of shapes, and how they are trained, in seconds, on the CPU."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from shapes import CLASSES, draw
from torch import Tensor, nn

SIDE = 64
STRIDE = 8


def features(*widths: int) -> nn.Sequential:
    """Convolutions that halve the picture, one a width."""
    layers: list[nn.Module] = []
    for before, width in zip((3, *widths), widths, strict=False):
        layers += [nn.Conv2d(before, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers)


class Classifier(nn.Module):
    """Which shape it is: logits [N, classes] of planes [N, 3, H, W]."""

    def __init__(self) -> None:
        super().__init__()
        self.features = features(16, 32, 64)
        self.head = nn.Linear(64, len(CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return self.head(self.features(x).amax((2, 3)))


class Segmenter(nn.Module):
    """Which shape each pixel belongs to: logits [N, 1 + classes, H, W]."""

    def __init__(self) -> None:
        super().__init__()
        self.features = features(16, 32, 64)
        self.head = nn.Conv2d(64 + 3, 1 + len(CLASSES), 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        wide = F.interpolate(self.features(x), x.shape[2:], mode="bilinear", align_corners=False)
        return self.head(torch.cat([wide, x], 1))


class Detector(nn.Module):
    """Where which shapes are: one box a cell of 8 by 8 pixels.

    Gives boxes [N, cells, 4] as center x, center y, width, height in pixels, and scores
    [N, cells, classes].
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = features(16, 32, 64)
        self.context = nn.Sequential(nn.Conv2d(64, 64, 5, padding=2), nn.ReLU())
        self.head = nn.Conv2d(64, 4 + len(CLASSES), 1)
        at = (torch.arange(SIDE // STRIDE) + 0.5) * STRIDE
        rows, columns = torch.meshgrid(at, at, indexing="ij")
        self.register_buffer("cells", torch.stack([columns, rows], -1).reshape(1, -1, 2))

    def raw(self, x: Tensor) -> Tensor:
        """Four numbers of a box and the logits of every cell: [N, cells, 4 + classes]."""
        return self.head(self.context(self.features(x))).flatten(2).transpose(1, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        raw = self.raw(x)
        centers = self.cells + raw[..., :2] * STRIDE
        return torch.cat([centers, raw[..., 2:4].exp() * STRIDE], -1), raw[..., 4:].sigmoid()


def _pictures(seed: int, count: int, shapes: int) -> tuple[Tensor, list[tuple[np.ndarray, ...]]]:
    rng = np.random.default_rng(seed)
    drawn = [draw(rng, SIDE, SIDE, int(rng.integers(1, shapes + 1))) for _ in range(count)]
    planes = torch.from_numpy(np.stack([item[0] for item in drawn])).permute(0, 3, 1, 2)
    return planes.float() / 255, [item[1:] for item in drawn]


def _train(model: nn.Module, loss: object, steps: int, shapes: int, rate: float = 3e-3) -> nn.Module:
    """Trains on new pictures all the time; the same for the same version of PyTorch."""
    torch.manual_seed(0)
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    optimizer = torch.optim.AdamW(model.parameters(), rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    model.train()
    for step in range(steps):
        planes, truth = _pictures(step, 32, shapes)
        optimizer.zero_grad()
        loss(model, planes, truth).backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def train_classifier(steps: int = 250) -> nn.Module:
    """A classifier of single shapes."""

    def loss(model: nn.Module, planes: Tensor, truth: list) -> Tensor:
        return F.cross_entropy(model(planes), torch.tensor([kinds[0] for kinds, _, _ in truth]))

    return _train(Classifier(), loss, steps, 1)


def train_segmenter(steps: int = 200) -> nn.Module:
    """A segmenter of up to three shapes."""

    def loss(model: nn.Module, planes: Tensor, truth: list) -> Tensor:
        masks = torch.from_numpy(np.stack([mask for _, _, mask in truth]))
        return F.cross_entropy(model(planes), masks)

    return _train(Segmenter(), loss, steps, 3)


def train_detector(steps: int = 400) -> nn.Module:
    """A detector of up to three shapes."""

    def loss(model: nn.Module, planes: Tensor, truth: list) -> Tensor:
        raw = model.raw(planes)
        wanted = torch.zeros(raw.shape[0], raw.shape[1], len(CLASSES))
        far = torch.zeros(())
        for picture, (kinds, boxes, _) in enumerate(truth):
            for kind, (x1, y1, x2, y2) in zip(kinds, boxes, strict=True):
                middle = torch.tensor([(x1 + x2) / 2, (y1 + y2) / 2], dtype=torch.float32)
                size = torch.tensor([x2 - x1, y2 - y1], dtype=torch.float32)
                # The cells around the middle answer for the shape.
                near = (model.cells[0] - middle).abs().amax(1) < 0.75 * STRIDE
                wanted[picture, near, kind] = 1
                offset = (middle - model.cells[0][near]) / STRIDE
                target = torch.cat([offset, (size / STRIDE).log().expand_as(offset)], 1)
                far = far + F.smooth_l1_loss(raw[picture, near, :4], target, reduction="sum")
        certain = F.binary_cross_entropy_with_logits(raw[..., 4:], wanted, reduction="sum")
        return (certain + 2 * far) / raw.shape[0]

    return _train(Detector(), loss, steps, 3)
