"""EfficientNet-Lite0 to -Lite4: EfficientNet (Tan and Le 2019, arXiv 1905.11946) for integers.

Without squeeze-excitation, with ReLU6 instead of swish, and with a stem and a head that do not grow
(tensorflow/tpu, models/official/efficientnet/lite).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

from torch import nn

from compress.models.inverted_residual import Stage, relu6, stack, widen

_STEM, _HEAD = 32, 1280
_STAGES = (  # EfficientNet-B0, table 1 of the article
    Stage(expansion=1, channels=16),
    Stage(expansion=6, channels=24, blocks=2, stride=2),
    Stage(expansion=6, channels=40, blocks=2, stride=2, kernel=5),
    Stage(expansion=6, channels=80, blocks=3, stride=2),
    Stage(expansion=6, channels=112, blocks=3, kernel=5),
    Stage(expansion=6, channels=192, blocks=4, stride=2, kernel=5),
    Stage(expansion=6, channels=320),
)
_SIZES = {0: (1.0, 1.0, 0.2), 1: (1.0, 1.1, 0.2), 2: (1.1, 1.2, 0.3), 3: (1.2, 1.4, 0.3), 4: (1.4, 1.8, 0.3)}
"""Multiples of channels and of blocks, and dropout."""


def efficientnet_lite(
    *,
    in_channels: int,
    classes: int,
    size: Literal[0, 1, 2, 3, 4] = 0,
    dropout: float | None = None,
    padding: Literal["symmetric", "same"] = "same",
) -> nn.Module:
    """EfficientNet-Lite; sizes 0 to 4 are published for images of 224, 240, 260, 280 and 300 pixels.

    Args:
        in_channels: channels of the images.
        classes: number of logits.
        size: which of the five networks.
        dropout: share of the features that a training step drops; by default 0.2 (sizes 0 and 1) or 0.3.
        padding: where layers that halve the image pad; `same` as in TensorFlow, cheaper in TFLite.
    """
    width, depth, published_dropout = _SIZES[size]
    first, *inner, last = widen(_STAGES, width)
    return stack(
        in_channels,
        classes,
        [first, *(replace(stage, blocks=math.ceil(stage.blocks * depth)) for stage in inner), last],
        stem=_STEM,
        head=_HEAD,
        activation=relu6,
        dropout=published_dropout if dropout is None else dropout,
        epsilon=1e-3,
        padding=padding,
    )
