"""A probe cannot take the machine's memory."""

import resource

import pytest
import torch

import modelport
from modelport.capture.diagnosis.probe_memory import bounded_memory


def test_what_asks_for_too_much_fails() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(RuntimeError, match="memory"), bounded_memory():
        torch.ones(1 << 40)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    with bounded_memory():
        assert torch.ones(1 << 20).sum() == 1 << 20


class Enlarged(torch.nn.Module):
    """The scale is a value: a thousandfold of it, by a thousandfold, is a million times as much."""

    def forward(self, x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        size = 64 * int(scale)
        return torch.nn.functional.interpolate(x, [size, size])


def test_a_scale_that_is_a_value_is_probed_within_bounds() -> None:
    inputs = torch.rand(1, 64, 64, 64), torch.tensor(2.0)
    with pytest.raises(modelport.ExportError) as raised:
        modelport.export(Enlarged(), inputs, input_names=["x", "scale"], capture="trace")
    assert "scale" in str(raised.value)
