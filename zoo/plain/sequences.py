"""Text, sound and other sequences."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

Tensor = torch.Tensor


class Reader(nn.Module):
    """Convolutions, then a bidirectional LSTM along the line (Shi et al., "CRNN", 2015)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d((4, 2), (4, 2))),
        )
        self.along = nn.LSTM(32, 12, bidirectional=True, batch_first=True)
        self.head = nn.Linear(24, 11)

    def forward(self, line: Tensor) -> Tensor:
        x = self.features(line).permute(0, 3, 1, 2).flatten(2)
        return self.head(self.along(x)[0]).log_softmax(-1)


class Packed(nn.Module):
    """An LSTM over sequences of different lengths, packed, and its last state."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 12)
        self.cell = nn.LSTM(12, 16, batch_first=True)
        self.head = nn.Linear(16, 5)

    def forward(self, words: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        packed = nn.utils.rnn.pack_padded_sequence(
            self.words(words), lengths, batch_first=True, enforce_sorted=False
        )
        output, (last, _) = self.cell(packed)
        padded, _ = nn.utils.rnn.pad_packed_sequence(
            output, batch_first=True, total_length=words.shape[1]
        )
        return self.head(padded), last[-1]


class Translator(nn.Module):
    """A GRU reads, another writes and looks back (Bahdanau et al., 2015)."""

    def __init__(self) -> None:
        super().__init__()
        self.read_words, self.write_words = nn.Embedding(40, 12), nn.Embedding(30, 12)
        self.reader = nn.GRU(12, 16, batch_first=True)
        self.writer = nn.GRU(12, 16, batch_first=True)
        self.head = nn.Linear(32, 30)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        read, state = self.reader(self.read_words(source))
        written, _ = self.writer(self.write_words(target), state)
        looked = (written @ read.transpose(1, 2) / 4).softmax(-1) @ read
        return self.head(torch.cat([written, looked], -1))


class Encoder(nn.Module):
    """torch's own transformer encoder, with a mask of padding."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 16)
        layer = nn.TransformerEncoderLayer(16, 4, 32, 0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 4)

    def forward(self, words: Tensor) -> Tensor:
        padding = words == 0
        x = self.layers(self.words(words), src_key_padding_mask=padding)
        kept = (~padding).float()[..., None]
        return self.head((x * kept).sum(1) / kept.sum(1).clamp(min=1))


class Step(nn.Module):
    """A decoder's step with rotary positions; its cache goes in and comes out."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 16)
        self.qkv, self.head = nn.Linear(16, 48), nn.Linear(16, 50)

    def forward(self, words: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.words(words)
        batch, new, _ = x.shape
        q, k, v = (part.view(batch, new, 2, 8).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        positions = torch.arange(new) + keys.shape[2]
        angle = positions[:, None] * torch.tensor([1.0, 0.1, 0.01, 0.001])
        q, k = self._turned(q, angle), self._turned(k, angle)
        keys, values = torch.cat([keys, k], 2), torch.cat([values, v], 2)
        seen = torch.arange(keys.shape[2])[None] <= positions[:, None]
        x = x + F.scaled_dot_product_attention(q, keys, values, seen).transpose(1, 2).flatten(2)
        return self.head(x), keys, values

    @staticmethod
    def _turned(x: Tensor, angle: Tensor) -> Tensor:
        one, two = x.chunk(2, -1)
        cos, sin = angle.cos(), angle.sin()
        return torch.cat([one * cos - two * sin, one * sin + two * cos], -1)


class Causal(nn.Module):
    """Dilated convolutions that see the past only (van den Oord et al., "WaveNet", 2016)."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv1d(1, 8, 1)
        self.gates = nn.ModuleList(nn.Conv1d(8, 16, 2, dilation=2**i) for i in range(3))
        self.leave = nn.Conv1d(8, 4, 1)

    def forward(self, wave: Tensor) -> Tensor:
        x, skipped = self.enter(wave), 0
        for index, gate in enumerate(self.gates):
            one, two = gate(F.pad(x, (2**index, 0))).chunk(2, 1)
            x = x + one.tanh() * two.sigmoid()
            skipped = skipped + x
        return self.leave(F.relu(skipped))


class Spectral(nn.Module):
    """A spectrogram by STFT, and a classifier over it."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(32))
        self.body = nn.Conv1d(17, 8, 3, padding=1)
        self.head = nn.Linear(8, 4)

    def forward(self, wave: Tensor) -> Tensor:
        spectrum = torch.stft(wave, 32, 16, window=self.window, return_complex=True)
        x = self.body(torch.log1p(spectrum.abs()))
        return self.head(F.relu(x).mean(-1))


class Phrases(nn.Module):
    """Convolutions of several widths over words, and their maxima (Kim, 2014)."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 12)
        self.widths = nn.ModuleList(nn.Conv1d(12, 8, width) for width in (2, 3, 4))
        self.head = nn.Linear(24, 3)

    def forward(self, words: Tensor) -> Tensor:
        x = self.words(words).transpose(1, 2)
        return self.head(torch.cat([F.relu(width(x)).amax(-1) for width in self.widths], 1))


class Selective(nn.Module):
    """A selective state space, its recurrence written as a cumulated sum (Mamba, 2023)."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.deep = nn.Linear(8, 32), nn.Conv1d(16, 16, 4, groups=16)
        self.rates, self.leave = nn.Linear(16, 16), nn.Linear(16, 8)

    def forward(self, series: Tensor) -> Tensor:
        x, gate = self.enter(series).chunk(2, -1)
        x = F.silu(self.deep(F.pad(x.transpose(1, 2), (3, 0)))).transpose(1, 2)
        decay = -0.1 * F.softplus(self.rates(x))
        total = decay.cumsum(1)
        state = total.exp() * (x * (-total).exp()).cumsum(1)
        return self.leave(state * F.silu(gate))
