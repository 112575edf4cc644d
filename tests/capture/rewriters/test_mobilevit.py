"""timm's MobileViT blocks, with maps that whole patches fit and maps that they do not."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import modelport

NAME = "timm.models.mobilevit"
PATCH = (2, 3)


def fitting(x: Tensor) -> tuple[int, int]:
    height, width = (int(size) for size in x.shape[2:])
    return -(-height // PATCH[0]) * PATCH[0], -(-width // PATCH[1]) * PATCH[1]


def tokens_mixed(x: Tensor) -> Tensor:
    """Gives every place of a patch the mean of that place in all patches, beside its own."""
    batch, channels, height, width = x.shape
    patches = x.reshape(batch, channels, height // PATCH[0], PATCH[0], width // PATCH[1], PATCH[1])
    return (patches + patches.mean((2, 4), keepdim=True)).reshape(x.shape)


class Block(nn.Module):
    """Sizes are decided in Python, as timm does."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patch_size = PATCH
        self.conv_kxk = nn.Conv2d(3, 4, 3, padding=1)
        self.conv_1x1 = nn.Conv2d(4, 4, 1)
        self.conv_proj = nn.Conv2d(4, 3, 1)


class First(Block):
    """Resizes behind the convolutions, and back."""

    def forward(self, x: Tensor) -> Tensor:
        features = self.conv_1x1(self.conv_kxk(x))
        size, fits = fitting(features), (int(features.shape[2]), int(features.shape[3]))
        if size != fits:
            features = F.interpolate(features, size, mode="bilinear", align_corners=False)
        features = tokens_mixed(features)
        if size != fits:
            features = F.interpolate(features, fits, mode="bilinear", align_corners=False)
        return x + self.conv_proj(features)


class Second(Block):
    """Resizes in front of the convolutions."""

    def forward(self, x: Tensor) -> Tensor:
        size = fitting(x)
        if size != (int(x.shape[2]), int(x.shape[3])):
            x = F.interpolate(x, size, mode="bilinear", align_corners=True)
        mixed: Tensor = self.conv_proj(tokens_mixed(self.conv_1x1(self.conv_kxk(x))))
        return mixed


def test_sizes_that_patches_fit_and_do_not_are_right(stand_in) -> None:
    stand_in(NAME, MobileVitBlock=First, MobileVitV2Block=Second)
    model = nn.Sequential(First(), Second())
    x = torch.rand(2, 3, 8, 9, generator=torch.Generator().manual_seed(0))
    recipe = modelport.Recipe(
        model.eval(),
        (x,),
        input_names=["x"],
        dynamic={"x": {0: "batch", 2: modelport.Dim("height", 4), 3: modelport.Dim("width", 4)}},
        capture="dynamo",
    )
    # The export compares with the original at other sizes.
    exported = modelport.export(recipe)
    assert exported.provenance["probes"]["run"] > 5
