"""transformers' padding "SAME", against TensorFlow's formula; a stand-in is transformers."""

from __future__ import annotations

import types

import pytest
import torch
from torch import Tensor

import modelport

NAME = "transformers.models.mobilenet_v2.modeling_mobilenet_v2"


def by_the_formula(features: Tensor, conv_layer: torch.nn.Conv2d) -> Tensor:
    """As many windows as strides begin in the size, and the padding that they need (TensorFlow's
    guide to convolutions), decided in Python as transformers does.
    """
    widths: list[int] = []
    for axis in (1, 0):
        size, stride = int(features.shape[2 + axis]), conv_layer.stride[axis]
        rest = size % stride or stride
        missing = max(conv_layer.kernel_size[axis] - rest, 0)
        dilation = conv_layer.dilation[axis]
        widths += [missing // 2 * dilation, (missing - missing // 2) * dilation]
    return torch.nn.functional.pad(features, widths)


@pytest.fixture
def library(stand_in) -> types.ModuleType:
    """The module, with nothing but the function."""
    module: types.ModuleType = stand_in(NAME, apply_tf_padding=by_the_formula)
    return module


class Padded(torch.nn.Module):
    """A convolution behind the padding."""

    def __init__(
        self, library: types.ModuleType, kernel: tuple[int, int], stride: int, dilation: int
    ) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.library = library
        self.conv = torch.nn.Conv2d(2, 3, kernel, stride, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv(self.library.apply_tf_padding(x, self.conv))
        return result


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"),
    [((3, 3), 2, 1), ((3, 5), 1, 2), ((2, 3), 3, 1)],
    ids=["halved", "dilated", "strides beyond the window"],
)
def test_sizes_of_every_remainder_are_right(
    library: types.ModuleType, kernel: tuple[int, int], stride: int, dilation: int
) -> None:
    model = Padded(library, kernel, stride, dilation).eval()
    recipe = modelport.Recipe(
        model,
        (torch.randn(2, 2, 12, 18),),
        input_names=["x"],
        dynamic={"x": {2: modelport.Dim("height", 6), 3: modelport.Dim("width", 6)}},
        capture="dynamo",
    )
    # The export compares with the original at other sizes.
    exported = modelport.export(recipe)
    assert exported.provenance["probes"]["run"] > 5
