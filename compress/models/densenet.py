"""DenseNet (Huang et al. 2017, arXiv 1608.06993): every layer adds a few channels to all that came before it.

Layer for layer torchvision's `densenet121` and its siblings.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from compress.models.convolution import ImageClassifier, convolve

_LAYERS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}
_GROWTH, _STEM = 32, 64


class DenseLayer(nn.Module):
    """Batch norm, ReLU, a 1x1 and a 3x3 convolution, whose output is put behind the input."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            nn.ReLU(),
            convolve(in_channels, 4 * _GROWTH, 1, nn.ReLU(inplace=True)),
            nn.Conv2d(4 * _GROWTH, _GROWTH, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, h, w) to (batch, in_channels + 32, h, w)."""
        return torch.cat([x, self.layers(x)], 1)


def densenet(*, in_channels: int, classes: int, depth: Literal[121, 169, 201] = 121) -> nn.Module:
    """DenseNet; published for images of 224 pixels.

    Args:
        in_channels: channels of the images.
        classes: number of logits.
        depth: number of layers with weights.
    """
    stem = nn.Sequential(
        convolve(in_channels, _STEM, 7, nn.ReLU(inplace=True), stride=2),
        nn.MaxPool2d(3, 2, 1),
    )
    blocks: list[nn.Module] = []
    channels = _STEM
    for stage, layers in enumerate(_LAYERS[depth]):
        if stage > 0:
            blocks.append(_transition(channels))
            channels //= 2
        for _ in range(layers):
            blocks.append(DenseLayer(channels))
            channels += _GROWTH
    head = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
    return ImageClassifier(stem, nn.Sequential(*blocks), head, channels, classes)


def _transition(channels: int) -> nn.Sequential:
    """Half the channels, half the height and width."""
    return nn.Sequential(
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels // 2, 1, bias=False),
        nn.AvgPool2d(2, 2),
    )
