"""A bidirectional LSTM tagger (Huang et al., 2015), without its CRF."""

from __future__ import annotations

import torch
from torch import nn

from tests.models.weights import randomize


class Tagger(nn.Module):
    """Tags every token of a sentence; 4.1 million parameters.

    Args:
        vocabulary: Number of tokens known.
        embedding: Size of a token's vector.
        hidden: Size of the state of each direction.
        tags: Number of tags.
    """

    def __init__(
        self, vocabulary: int = 20000, embedding: int = 100, hidden: int = 256, tags: int = 17
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, embedding)
        self.lstm = nn.LSTM(embedding, hidden, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * hidden, tags)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tags.

        Args:
            tokens: Tokens, int64 [N, T].

        Returns:
            Log-probabilities of the tags, float32 [N, T, tags].
        """
        states, _ = self.lstm(self.embed(tokens))
        return self.head(states).log_softmax(-1)


def tagger(seed: int = 0) -> Tagger:
    """The tagger with random weights."""
    return randomize(Tagger(), seed)
