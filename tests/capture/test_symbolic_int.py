"""int() of a size, as window attention computes the batch, is no longer baked in."""

from __future__ import annotations

import builtins

import pytest
import torch

import modelport
from modelport.capture.symbolic_int import sizes_stay_whole


class Windows(torch.nn.Module):
    """Cuts into windows and puts them together, with a batch that is computed (Swin's code)."""

    def forward(self, x):
        batch, height, width, channels = x.shape
        windows = x.view(batch, height // 4, 4, width // 4, 4, channels).transpose(2, 3)
        windows = windows.reshape(-1, 16, channels).softmax(1)
        images = int(windows.shape[0] / (height * width / 4 / 4))
        windows = windows.view(images, height // 4, width // 4, 4, 4, -1)
        return windows.transpose(2, 3).reshape(images, height, width, -1) + x


def test_a_batch_that_int_computes_is_not_baked_in(tmp_path):
    shapes = [(3, 8, 12), (2, 12, 8), (1, 16, 4), (4, 4, 4), (2, 8, 20)]
    recipe = modelport.Recipe(
        Windows().eval(),
        torch.rand(1, 8, 8, 3),
        dynamic={"x": [0, 1, 2]},
        cases=[(torch.rand(*shape, 3),) for shape in shapes],
    )
    done = modelport.deploy(recipe, tmp_path / "windows.port")
    assert done.model.provenance["capture"]["strategy"] == "dynamo"


def test_what_takes_the_place_of_int_is_int_to_whoever_asks():
    with sizes_stay_whole(Windows()) as changed:
        assert changed
        assert int is not builtins.int
        assert int == builtins.int  # noqa: E721 - asked by equality on purpose
        assert isinstance(3, int)
        assert not isinstance(3.0, int)
        assert issubclass(bool, int)
        assert type(int("12")) is builtins.int
        assert int("ff", 16) == 255
        assert int(2.9) == 2
        with pytest.raises(ValueError, match="invalid literal"):
            int("x")
    assert int is builtins.int


def test_a_model_without_int_is_left_alone():
    with sizes_stay_whole(torch.nn.ReLU()) as changed:
        assert not changed
