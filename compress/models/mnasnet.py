"""MnasNet (Tan et al. 2019, arXiv 1807.11626): inverted residuals chosen by search against a phone's latency."""

from __future__ import annotations

from typing import Literal

from torch import nn

from compress.errors import ModelError
from compress.models.convolution import round_channels
from compress.models.inverted_residual import Stage, relu, stack, widen

_STEM, _HEAD = 32, 1280
_STAGES = {
    "a1": (  # figure 7
        Stage(expansion=1, channels=16),
        Stage(expansion=6, channels=24, blocks=2, stride=2),
        Stage(expansion=3, channels=40, blocks=3, stride=2, kernel=5, squeeze=True),
        Stage(expansion=6, channels=80, blocks=4, stride=2),
        Stage(expansion=6, channels=112, blocks=2, squeeze=True),
        Stage(expansion=6, channels=160, blocks=3, stride=2, kernel=5, squeeze=True),
        Stage(expansion=6, channels=320),
    ),
    "b1": (  # tensorflow/tpu, models/official/mnasnet
        Stage(expansion=1, channels=16),
        Stage(expansion=3, channels=24, blocks=3, stride=2),
        Stage(expansion=3, channels=40, blocks=3, stride=2, kernel=5),
        Stage(expansion=6, channels=80, blocks=3, stride=2, kernel=5),
        Stage(expansion=6, channels=96, blocks=2),
        Stage(expansion=6, channels=192, blocks=4, stride=2, kernel=5),
        Stage(expansion=6, channels=320),
    ),
}


def mnasnet(
    *,
    in_channels: int,
    classes: int,
    variant: Literal["a1", "b1"] = "a1",
    width: float = 1.0,
    dropout: float = 0.2,
    padding: Literal["symmetric", "same"] = "same",
) -> nn.Module:
    """MnasNet; published for images of 224 pixels and less.

    Args:
        in_channels: channels of the images.
        classes: number of logits.
        variant: a1 has squeeze-excitation; b1 has none, and is the network behind TensorFlow Lite's hosted files.
        width: multiplies the channels of every layer but the last, rounded to multiples of 8.
        dropout: share of the features that a training step drops.
        padding: where layers that halve the image pad; `same` as in TensorFlow, cheaper in TFLite.

    Raises:
        ModelError: width is not positive.
    """
    if width <= 0:
        raise ModelError(f"mnasnet: width is {width}; expected a factor above 0; try 0.5")
    return stack(
        in_channels,
        classes,
        widen(_STAGES[variant], width),
        stem=round_channels(_STEM * width),
        head=_HEAD,
        activation=relu,
        dropout=dropout,
        epsilon=1e-3,
        padding=padding,
    )
