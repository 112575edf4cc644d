"""Small architectures of all kinds in plain torch: the zoo of `make test`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from modelport import Dim, Recipe
from zoo.entry import Entry, images, integers, numbers, seeded, settle
from zoo.plain import images as pictures
from zoo.plain import sequences, structures

BATCH = {0: "batch"}
NODES, EDGES = Dim("nodes", 8, 30), Dim("edges", 4, 60)


def _row(build: type[nn.Module], args: tuple[Any, ...], dynamic: Any, **options: Any) -> Recipe:
    model = settle(seeded(build), *args)
    return Recipe(model, args, dynamic=dynamic, **options)


def _along(build: type[nn.Module], name: str, args: tuple[Any, ...], least: int = 4) -> Recipe:
    """A recipe with a dynamic batch and a dynamic second axis."""
    return _row(build, args, {name: {0: "batch", 1: Dim("length", least, max(40, 4 * least))}})


def _packed() -> Recipe:
    import torch

    def example(batch: int, length: int) -> tuple[Any, Any]:
        lengths = integers(length + 1, batch, low=1, seed=length)
        lengths[0] = length
        return integers(50, batch, length, seed=length), lengths

    dynamic = {"words": {0: "batch", 1: Dim("length", 4, 20)}, "lengths": BATCH}
    cases = [example(1, 5), example(3, 9), example(2, 13), example(5, 4), example(4, 20)]
    args = (integers(50, 3, 8), torch.tensor([8, 3, 5]))
    values = {"lengths": lambda rng, shape: rng.integers(1, 5, shape)}
    return _row(sequences.Packed, args, dynamic, cases=cases, values=values)


def _step() -> Recipe:
    args = (integers(50, 2, 3), numbers(2, 2, 5, 8), numbers(2, 2, 5, 8, seed=3))
    past = {0: "batch", 2: Dim("past", 1, 24)}
    dynamic = {"words": {0: "batch", 1: Dim("new", 1, 12)}, "keys": past, "values": past}
    return _row(sequences.Step, args, dynamic)


def _graph(build: type[nn.Module]) -> Recipe:
    args = (numbers(8, 6), integers(8, 2, 20))
    values = {"edges": lambda rng, shape: rng.integers(0, 8, shape)}
    return _row(build, args, {"nodes": {0: NODES}, "edges": {1: EDGES}}, values=values)


def _table() -> Recipe:
    import torch

    limits = (10, 7, 5)
    drawn = [integers(limit, 4, 1, seed=limit) for limit in limits]
    args = (torch.cat(drawn, 1), numbers(4, 4))
    values = {"categories": lambda rng, shape: rng.integers(0, limits, shape)}
    return _row(structures.Table, args, {"categories": BATCH, "numbers": BATCH}, values=values)


def _flow() -> Recipe:
    axes = {0: "batch", 2: Dim("height", 16, 48), 3: Dim("width", 16, 48)}
    args = (numbers(2, 3, 24, 32), numbers(2, 3, 24, 32, seed=3))
    return _row(pictures.Flow, args, {"before": axes, "after": axes})


def _denoiser() -> Recipe:
    axes = {0: "batch", 2: Dim("height", 8, 32), 3: Dim("width", 8, 32)}
    args = (numbers(2, 3, 16, 16), integers(1000, 2))
    return _row(pictures.Denoiser, args, {"image": axes, "step": BATCH})


def _seen(build: type[nn.Module], size: Any = 32, **options: Any) -> Recipe:
    return images(seeded(build), size, **options)


RECIPES: dict[str, Callable[[], Recipe]] = {
    "LeNet": lambda: _seen(pictures.LeNet, channels=1, fixed=True),
    "ResNet": lambda: _seen(pictures.Residual),
    "DenseNet": lambda: _seen(pictures.Dense),
    "MobileNet": lambda: _seen(pictures.Mobile),
    "ConvNeXt": lambda: _seen(pictures.ConvNext),
    "Mixer": lambda: _seen(pictures.Mixer, fixed=True),
    "ViT": lambda: _seen(pictures.Attending),
    "Swin": lambda: _seen(pictures.Windows),
    "UNet": lambda: _seen(pictures.UNet, 24),
    "DeepLab": lambda: _seen(pictures.Atrous),
    "ESPCN": lambda: _seen(pictures.SubPixel, 16),
    "VAE": lambda: _seen(pictures.Variational),
    "StyleGAN": lambda: _row(pictures.Generator, (numbers(3, 8),), {"noise": BATCH}),
    "Detector": lambda: _seen(pictures.Boxes, 48),
    "RAFT": _flow,
    "DDPM": _denoiser,
    "CRNN": lambda: _row(
        sequences.Reader,
        (numbers(2, 1, 16, 40),),
        {"line": {0: "batch", 3: Dim("width", 16, 80)}},
    ),
    "LSTM.packed": _packed,
    "GRU.attention": lambda: _row(
        sequences.Translator,
        (integers(40, 2, 7), integers(30, 2, 5)),
        {
            "source": {0: "batch", 1: Dim("read", 2, 30)},
            "target": {0: "batch", 1: Dim("written", 2, 30)},
        },
    ),
    "Transformer": lambda: _along(sequences.Encoder, "words", (integers(50, 2, 9),)),
    "Decoder.cache": _step,
    "WaveNet": lambda: _row(
        sequences.Causal, (numbers(2, 1, 30),), {"wave": {0: "batch", 2: Dim("time", 8, 80)}}
    ),
    "STFT": lambda: _along(sequences.Spectral, "wave", (numbers(2, 160),), least=64),
    "TextCNN": lambda: _along(sequences.Phrases, "words", (integers(50, 2, 9),)),
    "Mamba": lambda: _along(sequences.Selective, "series", (numbers(2, 12, 8),)),
    "PointNet": lambda: _along(structures.Points, "points", (numbers(2, 20, 3),)),
    "DGCNN": lambda: _along(structures.Neighbours, "points", (numbers(2, 12, 3),)),
    "GraphSAGE": lambda: _graph(structures.Messages),
    "GAT": lambda: _graph(structures.Attention),
    "DeepFM": _table,
    "CLIP": lambda: _row(
        structures.Towers,
        (numbers(2, 3, 32, 32), integers(50, 3, 6)),
        {"pictures": {0: "pictures"}, "texts": {0: "texts", 1: Dim("length", 2, 30)}},
    ),
    "Experts": lambda: _row(structures.Experts, (numbers(6, 8),), {"rows": {0: "rows"}}),
    "Selection": lambda: _row(structures.Sparse, (numbers(12, 6),), {"rows": {0: "rows"}}),
}
"""Recipes by name."""


def entries() -> list[Entry]:
    """The models."""
    return [Entry(f"plain/{name}", recipe) for name, recipe in RECIPES.items()]
