"""Inception v4 (Szegedy et al. 2017, arXiv 1602.07261), as in TensorFlow Models' research/slim/nets/inception_v4.py."""

from __future__ import annotations

from torch import nn

from compress.models.branches import Branches, Conv, average, chain, halve, split
from compress.models.convolution import ImageClassifier

_FEATURES = 1536


def inception_v4(*, in_channels: int, classes: int, dropout: float = 0.2) -> nn.Module:
    """Inception v4, published for images of 299 pixels; takes any from 75.

    Args:
        in_channels: channels of the images.
        classes: number of logits.
        dropout: share of the features that a training step drops.
    """
    stem = nn.Sequential(
        chain(in_channels, Conv(32, 3, 2, "valid"), Conv(32, 3, 1, "valid"), Conv(64, 3)),
        split(64, (halve(),), (Conv(96, 3, 2, "valid"),)),
        split(
            160,
            (Conv(64), Conv(96, 3, 1, "valid")),
            (Conv(64), Conv(64, (1, 7)), Conv(64, (7, 1)), Conv(96, 3, 1, "valid")),
        ),
        split(192, (Conv(192, 3, 2, "valid"),), (halve(),)),
    )
    blocks = nn.Sequential(
        *(_fine() for _ in range(4)),
        split(384, (Conv(384, 3, 2, "valid"),), (Conv(192), Conv(224, 3), Conv(256, 3, 2, "valid")), (halve(),)),
        *(_middle() for _ in range(7)),
        split(
            1024,
            (Conv(192), Conv(192, 3, 2, "valid")),
            (Conv(256), Conv(256, (1, 7)), Conv(320, (7, 1)), Conv(320, 3, 2, "valid")),
            (halve(),),
        ),
        *(_coarse() for _ in range(3)),
    )
    return ImageClassifier(stem, blocks, nn.Identity(), _FEATURES, classes, dropout)


def _fine() -> Branches:
    """Figure 4, on 35 x 35 pixels."""
    return split(
        384,
        (Conv(96),),
        (Conv(64), Conv(96, 3)),
        (Conv(64), Conv(96, 3), Conv(96, 3)),
        (average(), Conv(96)),
    )


def _middle() -> Branches:
    """Figure 5, on 17 x 17 pixels."""
    return split(
        1024,
        (Conv(384),),
        (Conv(192), Conv(224, (1, 7)), Conv(256, (7, 1))),
        (Conv(192), Conv(192, (7, 1)), Conv(224, (1, 7)), Conv(224, (7, 1)), Conv(256, (1, 7))),
        (average(), Conv(128)),
    )


def _coarse() -> Branches:
    """Figure 6, on 8 x 8 pixels."""
    both = (Conv(256, (1, 3)), Conv(256, (3, 1)))
    return split(
        _FEATURES,
        (Conv(256),),
        (Conv(384), both),
        (Conv(384), Conv(448, (3, 1)), Conv(512, (1, 3)), both),
        (average(), Conv(256)),
    )
