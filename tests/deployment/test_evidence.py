"""Cases that prove something, and cases that prove nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import modelport
from modelport import ProofError, Recipe

INFINITY = float("inf")


class Largest(nn.Module):
    """The two largest of a diagonal: torch's decomposition multiplies -inf by a zero mask."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.diagonal(x).topk(2).values


class Masked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.layer(scores) + mask, -1)


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)

    def forward(self, x: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        return self.encoder(x, src_key_padding_mask=padding)


class Probability(nn.Module):
    """One probability, which training has made small for most inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 1)
        with torch.no_grad():
            self.layer.weight.copy_(torch.tensor([[9.0, -5, 4, 2]]))
            self.layer.bias.fill_(-15)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.layer(x))


class Weighted(nn.Module):
    def forward(self, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        return (x * weights).sum(-1) / weights.sum(-1)


class Cancelling(nn.Module):
    """A difference of large numbers, of which float32 keeps few digits."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        large = x.exp() * 1e4
        return (large + x.sin()) - large * (1 + 1e-7 * x.cos())


def seeded(model: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for item in model.parameters():
        nn.init.normal_(item, std=0.4)
    return model.eval()


def deployed(model: nn.Module, *args: torch.Tensor, folder: Path, **options: object) -> Path:
    path = folder / "model.port"
    modelport.deploy(Recipe(model.eval(), args, **options), path)
    assert isinstance(modelport.load(path).signature.inputs[0].name, str)
    return path


def agrees(path: Path, model: nn.Module, *args: torch.Tensor) -> None:
    engine = modelport.load(path)
    names = [spec.name for spec in engine.signature.inputs]
    outputs = engine.run(dict(zip(names, [item.numpy() for item in args], strict=True)))
    with torch.no_grad():
        expected = model(*args)
    np.testing.assert_allclose(next(iter(outputs.values())), expected.numpy(), 1e-3, 1e-5)


def test_infinity_in_the_example_is_no_empty_proof(tmp_path: Path) -> None:
    x = torch.randn(5, 5)
    x[0, 1] = x[2, 2] = -INFINITY
    # The graph multiplies -inf by 0; on finite cases alone it would agree.
    with pytest.raises(ProofError, match="case 'example'"):
        deployed(Largest(), x, folder=tmp_path)
    assert not (tmp_path / "model.port").exists()


def test_mask_of_infinities_is_a_mask_in_every_case(tmp_path: Path) -> None:
    model = seeded(Masked())
    mask = torch.triu(torch.full((6, 6), -INFINITY), 1)
    path = deployed(model, torch.randn(6, 6), mask, folder=tmp_path)
    agrees(path, model, torch.randn(6, 6), mask)


@pytest.mark.parametrize(
    ("model", "args"),
    [
        (Encoder(), (torch.randn(2, 5, 8), torch.zeros(2, 5, dtype=torch.bool))),
        (Weighted(), (torch.randn(3, 4), torch.tensor([[1.0, 0, 1, 1]] * 3))),
        (Probability(), (torch.randn(3, 4),)),
        (Cancelling(), (torch.randn(3, 4),)),
        (nn.LogSigmoid(), (torch.randn(3, 4) * 8 + 12,)),
    ],
    ids=["a padded row", "weights of zero", "small probability", "cancellation", "log of sigmoid"],
)
def test_right_model_is_not_refused(
    tmp_path: Path, model: nn.Module, args: tuple[torch.Tensor, ...]
) -> None:
    torch.manual_seed(0)
    agrees(deployed(model, *args, folder=tmp_path), model, *args)


def test_hyperbolic_sine_is_not_refused_for_what_overflows(tmp_path: Path) -> None:
    class Sine(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sinh(x)

    x = torch.randn(3, 4) * 10
    agrees(deployed(Sine(), x, folder=tmp_path), Sine(), x)


def test_output_that_never_changes_is_noted(tmp_path: Path) -> None:
    class Counted(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x * 2, torch.full((1,), 7.0)

    result = modelport.deploy(Recipe(Counted(), (torch.randn(3),)), tmp_path / "m.port")
    (note,) = (item for item in result.model.findings if item.rule == "output-constant")
    assert "is the same number in all" in note.message
    (verification,) = result.verifications.values()
    evidence = list(verification.evidence.values())
    assert evidence[0] >= 5
    assert evidence[1] == -1


def test_model_that_gives_nan_alone_is_not_verified(tmp_path: Path) -> None:
    class Nan(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.log(-x.abs() - 1)

    with pytest.raises(ProofError, match=r"0 of .* cases prove anything about output"):
        modelport.deploy(Recipe(Nan(), (torch.randn(3),)), tmp_path / "m.port")
    assert not (tmp_path / "m.port").exists()
