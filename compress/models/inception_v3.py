"""Inception v3 (Szegedy et al. 2016, arXiv 1512.00567), without its auxiliary classifier, which only trains.

Layer for layer torchvision's `inception_v3`, which follows TensorFlow Models' research/slim/nets/inception_v3.py.
"""

from __future__ import annotations

from torch import nn

from compress.models.branches import Branches, Conv, average, chain, halve, split
from compress.models.convolution import ImageClassifier

_FEATURES = 2048


def inception_v3(*, in_channels: int, classes: int, dropout: float = 0.5) -> nn.Module:
    """Inception v3, published for images of 299 pixels; takes any from 75.

    Args:
        in_channels: channels of the images.
        classes: number of logits.
        dropout: share of the features that a training step drops.
    """
    stem = chain(
        in_channels,
        Conv(32, 3, 2, "valid"),
        Conv(32, 3, 1, "valid"),
        Conv(64, 3),
        halve(),
        Conv(80, 1),
        Conv(192, 3, 1, "valid"),
        halve(),
    )
    blocks = nn.Sequential(
        *(_fine(channels, pooled) for channels, pooled in ((192, 32), (256, 64), (288, 64))),
        split(288, (Conv(384, 3, 2, "valid"),), (Conv(64), Conv(96, 3), Conv(96, 3, 2, "valid")), (halve(),)),
        *(_middle(inner) for inner in (128, 160, 160, 192)),
        split(
            768,
            (Conv(192), Conv(320, 3, 2, "valid")),
            (Conv(192), Conv(192, (1, 7)), Conv(192, (7, 1)), Conv(192, 3, 2, "valid")),
            (halve(),),
        ),
        _coarse(1280),
        _coarse(_FEATURES),
    )
    return ImageClassifier(stem, blocks, nn.Identity(), _FEATURES, classes, dropout)


def _fine(channels: int, pooled: int) -> Branches:
    """Figure 5, on 35 x 35 pixels."""
    return split(
        channels,
        (Conv(64),),
        (Conv(48), Conv(64, 5)),
        (Conv(64), Conv(96, 3), Conv(96, 3)),
        (average(), Conv(pooled)),
    )


def _middle(inner: int) -> Branches:
    """Figure 6, on 17 x 17 pixels."""
    row, column = Conv(inner, (1, 7)), Conv(inner, (7, 1))
    return split(
        768,
        (Conv(192),),
        (Conv(inner), row, Conv(192, (7, 1))),
        (Conv(inner), column, row, column, Conv(192, (1, 7))),
        (average(), Conv(192)),
    )


def _coarse(channels: int) -> Branches:
    """Figure 7, on 8 x 8 pixels."""
    both = (Conv(384, (1, 3)), Conv(384, (3, 1)))
    return split(
        channels,
        (Conv(320),),
        (Conv(384), both),
        (Conv(448), Conv(384, 3), both),
        (average(), Conv(192)),
    )
