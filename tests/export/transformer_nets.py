"""A small text encoder whose constants sit where converters like to multiply them into weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from compress.models.vit import Block

TOKENS, VOCABULARY, WIDTH = 6, 40, 64


class Encoder(nn.Module):
    """Token ids (n, 6) to unit embeddings (n, 12): lookup, positions, an attention block, two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.positions = nn.Parameter(torch.randn(1, TOKENS, WIDTH))
        self.block = Block(WIDTH, heads=2, mlp_ratio=2, dropout=0.0)
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, 12, bias=False)
        self.gate = nn.Linear(WIDTH, 12)

    def forward(self, ids: Tensor) -> Tensor:
        features = self.block(self.tokens(ids) * 8.0 + self.positions)
        normed = self.norm(features)
        embedding = (self.head(normed) * 0.5 + torch.relu(self.gate(normed))).mean(1)
        return embedding / (embedding.square().sum(1, keepdim=True) + 1e-6).sqrt()


def ids(n: int) -> Tensor:
    """(n, 6) int64 in [0, 40)."""
    return torch.randint(0, VOCABULARY, (n, TOKENS), generator=torch.Generator().manual_seed(1))


def build_encoder() -> nn.Module:
    """Seeded random weights; layer norms with gains and offsets that matter."""
    torch.manual_seed(0)
    model = Encoder()
    for norm in model.modules():
        if isinstance(norm, nn.LayerNorm):
            nn.init.uniform_(norm.weight, 0.5, 2.0)
            nn.init.normal_(norm.bias)
    return model.eval()
