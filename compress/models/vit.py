"""A vision transformer (Dosovitskiy et al. 2021, arXiv 2010.11929): pre-norm blocks over patches and a class token."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from compress.errors import ModelError
from compress.models.attention import attend


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.project = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, tokens, width) to the same."""
        return self.project(attend(self.query(tokens), self.key(tokens), self.value(tokens), self.heads))


class Block(nn.Module):
    """Attention, then a two-layer perceptron, each normalised before and added to its input."""

    def __init__(self, width: int, heads: int, mlp_ratio: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(width, mlp_ratio * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(mlp_ratio * width, width),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, tokens, width) to the same."""
        tokens = tokens + self.dropout(self.attention(self.attention_norm(tokens)))
        return tokens + self.dropout(self.mlp(self.mlp_norm(tokens)))


class VisionTransformer(nn.Module):
    """A patch embedding, a class token, learnt position embeddings, blocks, a linear classifier of the class token."""

    def __init__(
        self,
        in_channels: int,
        classes: int,
        image_size: int,
        patch_size: int,
        width: int,
        depth: int,
        heads: int,
        mlp_ratio: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.image_size = image_size
        self.patch_embedding = nn.Conv2d(in_channels, width, patch_size, patch_size)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position_embedding = nn.Parameter(torch.empty(1, (image_size // patch_size) ** 2 + 1, width))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(*(Block(width, heads, mlp_ratio, dropout) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.classifier = nn.Linear(width, classes)
        self._initialise()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, image_size, image_size) to logits (batch, classes).

        Raises:
            ModelError: the images have another size.
        """
        if x.shape[2] != self.image_size or x.shape[3] != self.image_size:
            raise ModelError(
                f"vit: the images have {x.shape[2]} x {x.shape[3]} pixels; expected {self.image_size} x "
                f"{self.image_size}; set image_size to the size of the task's images"
            )
        patches = self.patch_embedding(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(x.shape[0], -1, -1), patches], dim=1)
        tokens = self.blocks(self.dropout(tokens + self.position_embedding))
        return self.classifier(self.norm(tokens)[:, 0])

    def _initialise(self) -> None:
        """As the authors' code: Glorot and Bengio 2010 in the blocks, which suits any width; a small classifier."""
        for layer in self.blocks.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)
        patch = self.patch_embedding.weight
        nn.init.trunc_normal_(patch, std=math.sqrt(1.0 / patch[0].numel()))
        nn.init.normal_(self.position_embedding, std=0.02)
        nn.init.normal_(self.classifier.weight, std=0.02)
        for bias in (self.patch_embedding.bias, self.classifier.bias):
            if bias is not None:
                nn.init.zeros_(bias)


def vit(
    *,
    in_channels: int,
    classes: int,
    image_size: int,
    patch_size: int,
    width: int = 192,
    depth: int = 12,
    heads: int = 3,
    mlp_ratio: int = 4,
    dropout: float = 0.0,
) -> nn.Module:
    """A vision transformer; width, depth and heads are ViT-Ti's by default, ViT-S has 384, 12, 6, ViT-B 768, 12, 12.

    Args:
        in_channels: channels of the images.
        classes: number of logits.
        image_size: height and width of the images, in pixels.
        patch_size: height and width of a patch; divides image_size.
        width: features of a token; a multiple of heads.
        depth: number of blocks.
        heads: attention heads of a block.
        mlp_ratio: hidden features of a block's perceptron, as a multiple of width.
        dropout: share of the features that a training step drops.

    Raises:
        ModelError: patch_size does not divide image_size, or heads does not divide width.
    """
    if not 1 <= patch_size <= image_size or image_size % patch_size:
        raise ModelError(
            f"vit: patch_size is {patch_size} and image_size {image_size}; expected whole patches; "
            "choose a patch_size that divides image_size"
        )
    if heads < 1 or width % heads:
        raise ModelError(
            f"vit: width is {width} and heads {heads}; expected heads of equal width; make width a multiple of heads"
        )
    return VisionTransformer(in_channels, classes, image_size, patch_size, width, depth, heads, mlp_ratio, dropout)
