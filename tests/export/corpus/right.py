"""Models that export right, however suspicious some look: none of them may be refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from modelport import Dim
from tests.export.corpus.entry import (
    Entry,
    Function,
    Refused,
    Right,
    Truth,
    add,
    entry,
    integers,
    rand,
    randn,
)

BATCH = {"x": {0: "n"}}
IMAGES = {"x": {0: "n", 2: "h", 3: "w"}}


def right(
    name: str,
    make: Callable[..., tuple[Any, ...]],
    cases: Sequence[tuple[int, ...]],
    dynamic: dict[str, Any],
    function: Callable[..., Any] | None = None,
    build: Callable[[], nn.Module] | None = None,
    **other: Truth,
) -> None:
    """Adds an entry that both exporters get right.

    Args:
        name: The entry's name.
        make: Makes inputs from sizes.
        cases: Sizes: of the example, then of the checks.
        dynamic: Dynamic dimensions.
        function: What the model computes.
        build: Makes the model, where it has weights.
        **other: The truth by strategy, where it is not `Right`.
    """
    truths = {strategy: other.get(strategy, Right()) for strategy in ("dynamo", "trace")}
    add(
        Entry(
            name,
            "right",
            (lambda: Positional(build())) if build else (lambda: Function(function)),
            lambda: (make(*cases[0]), {}),
            lambda: [(make(*sizes), {}) for sizes in cases[1:]],
            {**truths, **other},
            dynamic,
        )
    )


def images(n: int, h: int, w: int) -> tuple[torch.Tensor]:
    """Images with four channels, float32 [n, 4, h, w]."""
    return (randn(n, 4, h, w),)


UNMAPPED = Refused("capturing", bare="fails")
"""The exporter has no mapping for an operator."""

BAKES_THE_LENGTH = Refused("value-baked", "shape-baked", "batch-baked", "differs")
"""torch's own attention module computes its reshapes from Python numbers when it is traced."""

SIZES = [(2, 6, 8), (1, 10, 6), (3, 8, 14)]

for mode in ("nearest", "bilinear", "bicubic"):
    right(
        f"upsample-{mode}",
        images,
        SIZES,
        IMAGES,
        lambda x, mode=mode: functional.interpolate(x, scale_factor=2.0, mode=mode),
    )
right(
    "upsample-nearest-exact",
    images,
    SIZES,
    IMAGES,
    lambda x: functional.interpolate(x, scale_factor=2.0, mode="nearest-exact"),
    trace=UNMAPPED,
)
right(
    "upsample-area",
    images,
    [(2, 6, 8), (3, 6, 8)],
    BATCH,
    lambda x: functional.interpolate(x, size=(3, 4), mode="area"),
)
right(
    "upsample-aligned",
    images,
    SIZES,
    IMAGES,
    lambda x: functional.interpolate(x, scale_factor=3.0, mode="bilinear", align_corners=True),
)
right(
    "upsample-linear",
    lambda n, t: (randn(n, 3, t),),
    [(2, 6), (1, 9)],
    {"x": {0: "n", 2: "t"}},
    lambda x: functional.interpolate(x, scale_factor=2.0, mode="linear"),
)
right("pixel-shuffle", images, SIZES, IMAGES, lambda x: functional.pixel_shuffle(x, 2))
right("pixel-unshuffle", images, SIZES, IMAGES, lambda x: functional.pixel_unshuffle(x, 2))
right("roll", images, SIZES, IMAGES, lambda x: torch.roll(x, (1, -2), (2, 3)))
right("flip", images, SIZES, IMAGES, lambda x: x.flip(3) + x)
right("cumsum", images, SIZES, IMAGES, lambda x: x.cumsum(2))
right(
    "reflect-padding", images, SIZES, IMAGES, lambda x: functional.pad(x, (2, 1, 0, 3), "reflect")
)
right("group-norm", images, SIZES, IMAGES, build=lambda: _after_seed(nn.GroupNorm(2, 4)))
right("instance-norm", images, SIZES, IMAGES, lambda x: functional.instance_norm(x))
right("batch-norm", images, SIZES, IMAGES, build=lambda: _after_seed(nn.BatchNorm2d(4)))
right(
    "transposed-convolution",
    images,
    SIZES,
    IMAGES,
    build=lambda: nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1),
)
right(
    "depthwise-dilated-convolution",
    images,
    SIZES,
    IMAGES,
    build=lambda: nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=4),
)
right(
    "unfold",
    images,
    [(2, 6, 8), (3, 6, 8)],
    BATCH,
    lambda x: functional.unfold(x, 3, padding=1, stride=2),
)
right(
    "grid-sample",
    lambda n, h, w: (randn(n, 4, h, w), rand(n, 5, 6, 2) * 2.4 - 1.2),
    SIZES,
    {"x": {0: "n", 2: "h", 3: "w"}, "y": {0: "n"}},
    lambda x, grid: functional.grid_sample(x, grid, align_corners=False),
)
right(
    "affine-grid",
    lambda n, _: (randn(n, 4, 5, 6), randn(n, 2, 3) * 0.3),
    [(2, 0), (5, 0)],
    {"x": {0: "n"}, "y": {0: "n"}},
    lambda x, t: functional.grid_sample(
        x, functional.affine_grid(t, [x.shape[0], 4, 5, 6], False), align_corners=False
    ),
)


def rows(n: int, m: int) -> tuple[torch.Tensor]:
    """A matrix, float32 [n, m]."""
    return (randn(n, m),)


TABLE = [(3, 6), (1, 6), (7, 5)]
BOTH = {"x": {0: "n", 1: Dim("m", min=4)}}

right("topk", rows, TABLE, BOTH, lambda x: x.topk(3, dim=1))
right("sort", rows, TABLE, BOTH, lambda x: x.sort(dim=1, descending=True)[0])
right("argmax", rows, TABLE, BOTH, lambda x: (x.argmax(1), x.max(1)))
right("nonzero", rows, TABLE, BOTH, lambda x: (x > 0).nonzero())
right("masked-select", rows, TABLE, BOTH, lambda x: x[x > 0.2])
right("triangle", rows, TABLE, BOTH, lambda x: x.tril() + x.triu(1) * 2)
right(
    "one-hot",
    lambda n, _: (integers(5, n),),
    [(3, 0), (8, 0)],
    BATCH,
    lambda x: functional.one_hot(x, 5),
)
right("log-softmax", rows, TABLE, BOTH, lambda x: x.log_softmax(1).logsumexp(0))
right(
    "masks",
    rows,
    TABLE,
    BOTH,
    lambda x: x.masked_fill(x > x.mean(1, keepdim=True), -1e9).softmax(1),
)
right(
    "standard-deviation",
    rows,
    TABLE,
    BOTH,
    lambda x: (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True),
)
right("first-two-columns", rows, TABLE, BOTH, lambda x: x[:, :2] - x[:, -2:])
right(
    "norms",
    rows,
    TABLE,
    BOTH,
    lambda x: functional.normalize(x, dim=1) + x.norm(dim=1, keepdim=True),
)
right(
    "remainders",
    rows,
    TABLE,
    BOTH,
    lambda x: torch.remainder(x, 0.7) + torch.fmod(x, 0.7),
)
right("rounding", rows, TABLE, BOTH, lambda x: (x * 3).round() + x.floor() + x.ceil())
right(
    "distances",
    rows,
    TABLE,
    BOTH,
    lambda x: (x[:, None] - x[None]).square().sum(-1).add(1e-6).sqrt(),
)
right("meshgrid", rows, TABLE, BOTH, lambda x: torch.meshgrid(x[0], x[0] * 2, indexing="xy"))
right("constant-output", rows, [(3, 6), (3, 6)], {}, lambda x: (x + 1, torch.arange(3)))
right("scalar-output", rows, TABLE, BOTH, lambda x: x.mean())
right(
    "integer-division",
    lambda n, m: (integers(99, n, m) - 50,),
    TABLE,
    BOTH,
    lambda x: (torch.div(x, 7, rounding_mode="floor"), x % 7),
)


def indexed(n: int, m: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A matrix, float32 [n, m], and a column for each of its rows' entries, int64 [n, 2]."""
    return randn(n, m), integers(m, n, 2)


INDEXED = {"x": {0: "n", 1: "m"}, "y": {0: "n"}}
right("gather", indexed, TABLE, INDEXED, lambda x, i: x.gather(1, i))
right(
    "scatter", indexed, TABLE, INDEXED, lambda x, i: torch.zeros_like(x).scatter(1, i[:, :1], 1.0)
)
right(
    "scatter-add",
    indexed,
    TABLE,
    INDEXED,
    lambda x, i: torch.zeros_like(x).scatter_add(1, i, torch.ones_like(i, dtype=x.dtype)),
)
right("index-put", indexed, TABLE, INDEXED, lambda x, i: x.index_put((i * 0, i), i + 0.5))
right("index-fill", indexed, TABLE, INDEXED, lambda x, i: x.index_fill(1, i[0], 9.0))
right("index-select", indexed, TABLE, INDEXED, lambda x, i: x.index_select(1, i[0]) + x[:, i[0]])
right(
    "advanced-indexing", indexed, TABLE, INDEXED, lambda x, i: x[torch.arange(x.shape[0]), i[:, 0]]
)


def sequences(n: int, t: int) -> tuple[torch.Tensor]:
    """Sequences of vectors, float32 [n, t, 8]."""
    return (randn(n, t, 8),)


LENGTHS = [(2, 5), (1, 9), (4, 3)]
TIME = {"x": {0: "n", 1: "t"}}
right("einsum", sequences, LENGTHS, TIME, lambda x: torch.einsum("btd,bsd->bts", x, x))
right(
    "causal-attention",
    sequences,
    LENGTHS,
    TIME,
    lambda x: functional.scaled_dot_product_attention(
        x[:, None], x[:, None], x[:, None], is_causal=True
    ),
)
right("layer-norm", sequences, LENGTHS, TIME, build=lambda: nn.LayerNorm(8))
right(
    "gelu",
    sequences,
    LENGTHS,
    TIME,
    lambda x: functional.gelu(x) + functional.gelu(x, approximate="tanh") + functional.silu(x),
)
right(
    "windows",
    sequences,
    [(2, 6), (1, 9), (4, 3)],
    {"x": {0: "n", 1: Dim("t", min=3)}},
    lambda x: (x[:, 2:] + x[:, 1:-1] + x[:, :-2]) / 3,
)
right(
    "stacked-pairs",
    sequences,
    LENGTHS,
    TIME,
    lambda x: torch.stack((-x[..., 1::2], x[..., ::2]), dim=-1).flatten(-2),
)


class Recurrent(nn.Module):
    """A recurrent layer, batch first, with its default initial state."""

    def __init__(self, layer: type[nn.Module], **options: Any) -> None:
        super().__init__()
        self.layer = layer(8, 4, batch_first=True, **options)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)[0]


right("lstm", sequences, LENGTHS, TIME, build=lambda: Recurrent(nn.LSTM, bidirectional=True))
right("gru", sequences, LENGTHS, TIME, build=lambda: Recurrent(nn.GRU, num_layers=2))
right(
    "rnn",
    sequences,
    LENGTHS,
    TIME,
    build=lambda: Recurrent(nn.RNN),
    dynamo=Refused("capturing", bare="fails"),
    auto=Right(bare="fails"),
)


class SelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> Any:
        return self.attention(x, x, x)


right(
    "multihead-attention",
    sequences,
    LENGTHS,
    TIME,
    build=SelfAttention,
    trace=BAKES_THE_LENGTH,
    auto=Right(),
)
right(
    "transformer-encoder",
    sequences,
    LENGTHS,
    TIME,
    build=lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
    trace=BAKES_THE_LENGTH,
    auto=Right(),
)


class Positional(nn.Module):
    """Calls a module with the one input, under the name that the table uses."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.module(x)


def _after_seed(norm: nn.Module) -> nn.Module:
    """Gives a normalization weights and statistics that are not trivial."""
    for tensor in norm.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape) + 0.5)
    return norm


@entry(
    lambda: (randn(2, 4), rand(3, 4) > 0.5),
    lambda: [(randn(5, 4), rand(3, 4, seed=1) > 0.5), (randn(1, 4), rand(3, 4) > 2)],
    dynamic={"x": {0: "n"}},
    dynamo=Right(),
    trace=Right(),
    auto=Right(),
)
class RareBranch(nn.Module):
    """A mask that is all false must not give NaN."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        scores = x @ mask.to(x.dtype).T
        allowed = mask.any(1)
        return torch.where(allowed, scores, torch.zeros_like(scores))


@entry(
    lambda: (integers(2, 3, 6), torch.tensor([6, 2, 3])),
    lambda: [(integers(2, 5, 9), torch.tensor([1, 9, 4, 5, 2]))],
    dynamic={"tokens": {0: "n", 1: "t"}, "lengths": {0: "n"}},
    dynamo=Right(),
    trace=Right(),
    auto=Right(),
)
class MaskedMean(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(2, 4, padding_idx=0)

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        mask = torch.arange(tokens.size(1))[None] < lengths[:, None]
        total = (self.table(tokens) * mask[..., None]).sum(1)
        return total / lengths.clamp(min=1)[:, None]


@entry(
    lambda: (randn(3, 4),),
    lambda: [(randn(5, 4),), (-rand(1, 4),)],
    dynamic={"x": {0: "n"}},
    dynamo=Right(),
    trace=Right(bare="wrong"),
    auto=Right(),
)
class FloorDivisionOfFloats(nn.Module):
    """TorchScript's exporter rounds towards zero instead of down, and says nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x // 0.5


@entry(
    lambda: (randn(3, 4),),
    lambda: [(randn(5, 4),)],
    dynamic={"x": {0: "n"}},
    dynamo=Right(),
    trace=Refused("capturing", bare="fails"),
    auto=Right(),
)
class Truncation(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.trunc()


@entry(
    lambda: (randn(2, 5, 8),),
    lambda: [(randn(3, 7, 8),)],
    dynamic={"x": {0: "n", 1: "t"}},
    dynamo=Right(bare="fails"),
    trace=Right(),
    auto=Right(bare="fails"),
)
class AttentionWithoutHeads(nn.Module):
    """torch's mapping for dynamo takes only tensors with four axes."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.scaled_dot_product_attention(x, x, x)
