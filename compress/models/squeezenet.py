"""SqueezeNet (Iandola et al. 2016, arXiv 1602.07360), versions 1.0 and 1.1; no batch norm, no linear layer."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from compress.models.branches import Branches, halve
from compress.models.convolution import initialise

_SQUEEZED = (16, 16, 32, 32, 48, 48, 64, 64)  # of the eight fire modules; they expand to eight times as many
_HALVED_AFTER = {"1.0": (3, 7), "1.1": (2, 4)}


class SqueezeNet(nn.Module):
    """A convolution, fire modules with pools between, a classifier of 1x1 convolutions, global average pooling."""

    def __init__(self, in_channels: int, classes: int, version: Literal["1.0", "1.1"], dropout: float) -> None:
        super().__init__()
        channels, kernel = (96, 7) if version == "1.0" else (64, 3)
        self.stem = nn.Sequential(_activated(in_channels, channels, kernel, 2), halve(partial_windows=True))
        blocks: list[nn.Module] = []
        for number, squeezed in enumerate(_SQUEEZED, start=1):
            blocks.append(_fire(channels, squeezed))
            channels = 8 * squeezed
            if number in _HALVED_AFTER[version]:
                blocks.append(halve(partial_windows=True))
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Conv2d(channels, classes, 1)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.AdaptiveAvgPool2d(1)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, h, w) to logits (batch, classes), none of them negative."""
        features = self.blocks(self.stem(x))
        return self.pool(self.relu(self.classifier(self.dropout(features)))).flatten(1)


def squeezenet(
    *, in_channels: int, classes: int, version: Literal["1.0", "1.1"] = "1.1", dropout: float = 0.5
) -> nn.Module:
    """SqueezeNet; published for images of 224 pixels.

    Args:
        in_channels: channels of the images.
        classes: number of logits.
        version: 1.1 is as accurate as 1.0 with 2.4 times fewer operations (the authors' repository).
        dropout: share of the last images that a training step drops.
    """
    return SqueezeNet(in_channels, classes, version, dropout)


def _activated(in_channels: int, out_channels: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding),
        nn.ReLU(inplace=True),
    )


def _fire(channels: int, squeezed: int) -> nn.Sequential:
    """Few channels, of which a 1x1 and a 3x3 convolution make many."""
    expanded = 4 * squeezed
    both = Branches([_activated(squeezed, expanded, 1), _activated(squeezed, expanded, 3, padding=1)])
    return nn.Sequential(_activated(channels, squeezed, 1), both)
