"""The sizes and boxes of torchvision's detectors; a stand-in is torchvision."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import modelport

TRANSFORM = "torchvision.models.detection.transform"
UTILS = "torchvision.models.detection._utils"
LEAST, LARGEST = 94, 180


def resized_by_pythons_numbers(
    image: Tensor,
    self_min_size: int,
    self_max_size: int,
    target: Any = None,
    fixed_size: Any = None,
) -> tuple[Tensor, Any]:
    """Python's numbers decide; at 47 rows, 94 / 47 * 47 rounds to 94, at others to one less."""
    sizes = [int(size) for size in image.shape[-2:]]
    scale = min(self_min_size / min(sizes), self_max_size / max(sizes))
    size = [int(one * scale) for one in sizes]
    return F.interpolate(image[None], size, mode="bilinear", align_corners=False)[0], target


def test_picture_gets_the_size_that_python_computes(stand_in) -> None:
    library = stand_in(TRANSFORM, _resize_image_and_masks=resized_by_pythons_numbers)

    class Resized(torch.nn.Module):
        def forward(self, picture: Tensor) -> Tensor:
            return library._resize_image_and_masks(picture, LEAST, LARGEST)[0]

    shapes = [(97, 128), (99, 120), (47, 60), (96, 171), (103, 250), (194, 198)]
    recipe = modelport.Recipe(
        Resized(),
        (torch.rand(3, 94, 120, generator=torch.Generator().manual_seed(0)),),
        input_names=["picture"],
        dynamic={"picture": {1: modelport.Dim("height", 32), 2: modelport.Dim("width", 32)}},
        cases=[(torch.rand(3, *shape),) for shape in shapes],
        capture="trace",
    )
    assert modelport.export(recipe).provenance["probes"]["run"] > len(shapes)


class Coder:
    """Offsets are added to the corners; nothing is reshaped where there are no boxes."""

    def decode(self, rel_codes: Tensor, boxes: list[Tensor]) -> Tensor:
        count = sum(int(box.shape[0]) for box in boxes)
        found = self.decode_single(rel_codes, torch.cat(boxes))
        return found.reshape(count, -1, 4) if count else found

    def decode_single(self, rel_codes: Tensor, boxes: Tensor) -> Tensor:
        return rel_codes + boxes.repeat(1, int(rel_codes.shape[1]) // 4)


@pytest.mark.parametrize("classes", [1, 3])
def test_no_boxes_are_decoded_as_any_number(stand_in, classes: int) -> None:
    stand_in(UTILS, BoxCoder=Coder)

    class Decoded(torch.nn.Module):
        def forward(self, codes: Tensor, boxes: Tensor) -> Tensor:
            kept = boxes[:, 0] > 0
            found = Coder().decode(codes[kept], [boxes[kept]])
            return found.reshape(-1, 4 * classes).sum(0)

    boxes = torch.rand(6, 4, generator=torch.Generator().manual_seed(0)) - 0.5
    codes = torch.rand(6, 4 * classes, generator=torch.Generator().manual_seed(1))
    recipe = modelport.Recipe(
        Decoded(),
        (codes, boxes),
        input_names=["codes", "boxes"],
        cases=[(codes, -boxes.abs()), (codes, boxes.abs()), (2 * codes, boxes.flip(0))],
        capture="trace",
    )
    assert modelport.export(recipe).provenance["probes"]["run"] > 3
