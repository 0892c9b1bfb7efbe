"""MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381): inverted residuals with linear bottlenecks."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from torch import nn

from compress.errors import ModelError
from compress.models.convolution import round_channels, shrink_strides
from compress.models.inverted_residual import Stage, relu6, stack, widen

_STEM, _HEAD = 32, 1280
_STAGES = (  # table 2
    Stage(expansion=1, channels=16),
    Stage(expansion=6, channels=24, blocks=2, stride=2),
    Stage(expansion=6, channels=32, blocks=3, stride=2),
    Stage(expansion=6, channels=64, blocks=4, stride=2),
    Stage(expansion=6, channels=96, blocks=3),
    Stage(expansion=6, channels=160, blocks=3, stride=2),
    Stage(expansion=6, channels=320),
)


def mobilenet_v2(
    *,
    in_channels: int,
    classes: int,
    width: float = 1.0,
    reduction: Literal[4, 8, 16, 32] = 32,
    head: int = _HEAD,
    dropout: float = 0.2,
    padding: Literal["symmetric", "same"] = "symmetric",
) -> nn.Module:
    """MobileNetV2; with the defaults and 224 x 224 colour images, the published network.

    Args:
        in_channels: channels of the images.
        classes: number of logits.
        width: multiplies the channels of every layer, rounded to multiples of 8.
        reduction: by how much height and width shrink in all. 32 as published; 8 suits images of 28 to 32 pixels:
            the stem and the first stages that would halve the image then keep its size.
        head: channels of the last convolution; grows with a width above 1 and does not shrink below, as published.
        dropout: share of the head's features that a training step drops.
        padding: where layers that halve the image pad; `same` as in TensorFlow, cheaper in TFLite.

    Raises:
        ModelError: width is not positive, or reduction is none of the four.
    """
    if width <= 0:
        raise ModelError(f"mobilenet_v2: width is {width}; expected a factor above 0; try 0.5")
    stem_stride, *strides = shrink_strides("mobilenet_v2", [2, *(stage.stride for stage in _STAGES)], reduction)
    return stack(
        in_channels,
        classes,
        [replace(stage, stride=stride) for stage, stride in zip(widen(_STAGES, width), strides, strict=True)],
        stem=round_channels(_STEM * width),
        head=round_channels(head * max(1.0, width)),
        activation=relu6,
        dropout=dropout,
        stem_stride=stem_stride,
        padding=padding,
    )
