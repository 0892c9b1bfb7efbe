"""MobileNetV1 (Howard et al. 2017, arXiv 1704.04861): depthwise separable convolutions and nothing else."""

from __future__ import annotations

from typing import Literal

from torch import nn

from compress.errors import ModelError
from compress.models.convolution import ImageClassifier, convolve, round_channels, shrink_strides
from compress.models.mobile import DepthwiseSeparable

_STEM = 32
_BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))


def mobilenet_v1(
    *,
    in_channels: int,
    classes: int,
    width: float = 1.0,
    reduction: Literal[4, 8, 16, 32] = 32,
    dropout: float = 0.0,
    padding: Literal["symmetric", "same"] = "same",
) -> nn.Module:
    """MobileNetV1; published for widths of 0.25, 0.5, 0.75 and 1 and images of 128, 160, 192 and 224 pixels.

    Args:
        in_channels: channels of the images.
        classes: number of logits.
        width: multiplies the channels of every layer, rounded to multiples of 8.
        reduction: by how much height and width shrink in all. 32 as published; 8 suits images of 28 to 32 pixels:
            the stem and the first blocks that would halve the image then keep its size.
        dropout: share of the features that a training step drops.
        padding: where layers that halve the image pad; `same` as in TensorFlow, cheaper in TFLite.

    Raises:
        ModelError: width is not positive, or reduction is none of the four.
    """
    if width <= 0:
        raise ModelError(f"mobilenet_v1: width is {width}; expected a factor above 0; try 0.5")
    stem_stride, *strides = shrink_strides("mobilenet_v1", [2, *(stride for _, stride in _BLOCKS)], reduction)
    channels = round_channels(_STEM * width)
    stem = convolve(in_channels, channels, 3, nn.ReLU6(inplace=True), stride=stem_stride, padding=padding)
    blocks: list[nn.Module] = []
    for (unscaled, _), stride in zip(_BLOCKS, strides, strict=True):
        blocks.append(DepthwiseSeparable(channels, round_channels(unscaled * width), stride, padding))
        channels = round_channels(unscaled * width)
    return ImageClassifier(stem, nn.Sequential(*blocks), nn.Identity(), channels, classes, dropout)
