"""spandrel's padding to a multiple, with sizes that divide and sizes that do not."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import modelport

NAME = "spandrel.architectures.__arch_helpers.padding"


def decided_in_python(tensor: Tensor, multiple: int, *, mode: str, value: float = 0.0) -> Tensor:
    """To the next multiple, only where it is another size."""
    height, width = (-int(size) % multiple for size in tensor.shape[2:])
    return F.pad(tensor, (0, width, 0, height), mode, value) if height or width else tensor


@pytest.mark.parametrize("capture", ["dynamo", "trace"])
@pytest.mark.parametrize("size", [8, 9])
def test_sizes_of_every_remainder_are_right(stand_in, capture: str, size: int) -> None:
    library = stand_in(NAME, pad_to_multiple=decided_in_python)

    class Windows(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            padded = library.pad_to_multiple(x, 4, mode="reflect")
            batch, channels, height, width = padded.shape
            windows = padded.reshape(batch, channels, height // 4, 4, width // 4, 4)
            return library.pad_to_multiple(windows.amax((3, 5)), 3, mode="constant", value=2.0)

    recipe = modelport.Recipe(
        Windows().eval(),
        (torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0)),),
        input_names=["x"],
        dynamic={"x": {0: "batch", 2: modelport.Dim("height", 4), 3: modelport.Dim("width", 4)}},
        capture=capture,
    )
    # The export compares with the original at other sizes.
    exported = modelport.export(recipe)
    assert exported.provenance["probes"]["run"] > 5
