"""MobileBERT (Sun et al. 2020, arXiv 2004.02984): a deep, thin BERT with bottlenecks, stacked perceptrons and no norms.

Layer for layer the authors' code (google-research/mobilebert) and Hugging Face's `MobileBertModel`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compress.errors import ModelError
from compress.models.attention import attend


class NoNorm(nn.Module):
    """What stands for a layer norm: a gain and an offset per feature (section 3.3)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, tokens, width) to the same."""
        return tokens * self.weight + self.bias


class Embedding(nn.Module):
    """Narrow embeddings of a token and its two neighbours, made wide; its place and the first segment are added."""

    def __init__(self, vocabulary: int, embedding: int, width: int, max_tokens: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, embedding)
        self.widen = nn.Linear(3 * embedding, width)
        self.places = nn.Parameter(torch.empty(max_tokens, width))
        self.segments = nn.Parameter(torch.empty(2, width))
        self.norm = NoNorm(width)

    def forward(self, ids: Tensor) -> Tensor:
        """(batch, tokens) ids to (batch, tokens, width)."""
        tokens = self.tokens(ids)
        following, preceding = F.pad(tokens[:, 1:], (0, 0, 0, 1)), F.pad(tokens[:, :-1], (0, 0, 1, 0))
        wide = self.widen(torch.cat([following, tokens, preceding], 2))
        return self.norm(wide + (self.places[: ids.shape[1]] + self.segments[0]))


class Perceptron(nn.Module):
    """Two linear layers with a ReLU between, added to their input."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))
        self.norm = NoNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, tokens, width) to the same."""
        return self.norm(self.layers(tokens) + tokens)


class Layer(nn.Module):
    """Attention and perceptrons on narrow tokens, between two linear layers from and to wide ones (figure 1c).

    The values of attention come from the wide tokens; queries and keys share a bottleneck of their own.
    """

    def __init__(self, width: int, bottleneck: int, heads: int, hidden: int, perceptrons: int) -> None:
        super().__init__()
        self.heads = heads
        self.narrow = nn.Sequential(nn.Linear(width, bottleneck), NoNorm(bottleneck))
        self.shared = nn.Sequential(nn.Linear(width, bottleneck), NoNorm(bottleneck))
        self.query = nn.Linear(bottleneck, bottleneck)
        self.key = nn.Linear(bottleneck, bottleneck)
        self.value = nn.Linear(width, bottleneck)
        self.project = nn.Linear(bottleneck, bottleneck)
        self.attention_norm = NoNorm(bottleneck)
        self.perceptrons = nn.Sequential(*(Perceptron(bottleneck, hidden) for _ in range(perceptrons)))
        self.widen = nn.Linear(bottleneck, width)
        self.norm = NoNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, tokens, width) to the same."""
        shared = self.shared(tokens)
        attention = attend(self.query(shared), self.key(shared), self.value(tokens), self.heads)
        narrow = self.attention_norm(self.project(attention) + self.narrow(tokens))
        return self.norm(self.widen(self.perceptrons(narrow)) + tokens)


class MobileBERT(nn.Module):
    """Embeddings, layers, a linear classifier of the first token."""

    def __init__(self, embedding: Embedding, layers: nn.Module, width: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.embedding = embedding
        self.layers = layers
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, classes)
        self._initialise()

    def forward(self, ids: Tensor) -> Tensor:
        """(batch, tokens) int64 ids, all of them read, to logits (batch, classes).

        Raises:
            ModelError: there are more tokens than places.
        """
        places = self.embedding.places.shape[0]
        if ids.shape[1] > places:
            raise ModelError(
                f"mobilebert: an input has {ids.shape[1]} tokens; expected at most {places}; cut the texts, or raise "
                "max_tokens"
            )
        return self.classifier(self.dropout(self.layers(self.embedding(ids))[:, 0]))

    def _initialise(self) -> None:
        """As BERT: a normal distribution of standard deviation 0.02."""
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        for table in (self.embedding.tokens.weight, self.embedding.places, self.embedding.segments):
            nn.init.normal_(table, std=0.02)


def mobilebert(
    *,
    classes: int,
    vocabulary: int = 30522,
    max_tokens: int = 512,
    depth: int = 24,
    width: int = 512,
    bottleneck: int = 128,
    heads: int = 4,
    perceptrons: int = 4,
    embedding: int = 128,
    dropout: float = 0.0,
) -> nn.Module:
    """A text encoder; with the defaults the published network. Reads token ids without padding.

    Args:
        classes: number of logits.
        vocabulary: number of different ids.
        max_tokens: the longest text.
        depth: number of layers.
        width: features of a token between layers.
        bottleneck: features of a token inside a layer, a multiple of heads. Perceptrons widen them fourfold.
        heads: attention heads of a layer.
        perceptrons: of a layer.
        embedding: features of an id.
        dropout: share of the last features that a training step drops.

    Raises:
        ModelError: heads does not divide bottleneck.
    """
    if heads < 1 or bottleneck % heads:
        raise ModelError(
            f"mobilebert: bottleneck is {bottleneck} and heads {heads}; expected heads of equal width; make bottleneck "
            "a multiple of heads"
        )
    layers = (Layer(width, bottleneck, heads, 4 * bottleneck, perceptrons) for _ in range(depth))
    table = Embedding(vocabulary, embedding, width, max_tokens)
    return MobileBERT(table, nn.Sequential(*layers), width, classes, dropout)
