"""GoogLeNet (Szegedy et al. 2015, arXiv 1409.4842) with batch norm, without its auxiliary classifiers.

Layer for layer torchvision's `googlenet`, whose 5x5 branch has 3x3 kernels, as in TensorFlow Models' slim.
"""

from __future__ import annotations

from torch import nn

from compress.models.branches import Branches, Conv, chain, halve, split
from compress.models.convolution import ImageClassifier

_FEATURES = 1024


def googlenet(*, in_channels: int, classes: int, dropout: float = 0.2) -> nn.Module:
    """GoogLeNet, published for images of 224 pixels.

    Args:
        in_channels: channels of the images.
        classes: number of logits.
        dropout: share of the features that a training step drops.
    """
    stem = chain(
        in_channels, Conv(64, 7, 2), halve(partial_windows=True), Conv(64), Conv(192, 3), halve(partial_windows=True)
    )
    blocks = nn.Sequential(
        _inception(192, 64, 96, 128, 16, 32, 32),
        _inception(256, 128, 128, 192, 32, 96, 64),
        halve(partial_windows=True),
        _inception(480, 192, 96, 208, 16, 48, 64),
        _inception(512, 160, 112, 224, 24, 64, 64),
        _inception(512, 128, 128, 256, 24, 64, 64),
        _inception(512, 112, 144, 288, 32, 64, 64),
        _inception(528, 256, 160, 320, 32, 128, 128),
        nn.MaxPool2d(2, 2, ceil_mode=True),
        _inception(832, 256, 160, 320, 32, 128, 128),
        _inception(832, 384, 192, 384, 48, 128, 128),
    )
    return ImageClassifier(stem, blocks, nn.Identity(), _FEATURES, classes, dropout)


def _inception(channels: int, one: int, reduce: int, three: int, reduce_more: int, five: int, pooled: int) -> Branches:
    """A row of table 1."""
    return split(
        channels,
        (Conv(one),),
        (Conv(reduce), Conv(three, 3)),
        (Conv(reduce_more), Conv(five, 3)),
        (nn.MaxPool2d(3, 1, 1), Conv(pooled)),
    )
