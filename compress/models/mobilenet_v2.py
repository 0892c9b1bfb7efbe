"""MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381): inverted residuals with linear bottlenecks."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from compress.errors import ModelError
from compress.models.convolution import convolve, initialise, round_channels, shrink_strides

_STEM, _HEAD = 32, 1280
_STAGES = (  # table 2: expansion, channels, blocks, stride of the first block
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class InvertedResidual(nn.Module):
    """Expansion by a 1x1 convolution, a 3x3 depthwise convolution, a linear 1x1 projection to few channels.

    The shortcut joins the narrow ends, where the block keeps its shape.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.expand = nn.Identity() if expansion == 1 else convolve(in_channels, hidden, 1, nn.ReLU6(inplace=True))
        self.depthwise = convolve(hidden, hidden, 3, nn.ReLU6(inplace=True), stride=stride, groups=hidden)
        self.project = convolve(hidden, out_channels, 1)
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, h, w) to (batch, out_channels, ceil(h / stride), ceil(w / stride))."""
        out = self.project(self.depthwise(self.expand(x)))
        return x + out if self.has_shortcut else out


class MobileNetV2(nn.Module):
    """A stem, inverted residuals, a 1x1 convolution, global average pooling, dropout, a linear classifier.

    Args:
        in_channels: channels of the images.
        classes: number of logits.
        channels: of the stem and of each block.
        expansions: of each block.
        strides: of the stem and of each block.
        head: channels of the last convolution.
        dropout: share of the head's features that a training step drops.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        channels: list[int],
        expansions: list[int],
        strides: list[int],
        head: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.stem = convolve(in_channels, channels[0], 3, nn.ReLU6(inplace=True), stride=strides[0])
        self.blocks = nn.Sequential(
            *(
                InvertedResidual(i, o, stride, expansion)
                for (i, o), stride, expansion in zip(pairwise(channels), strides[1:], expansions, strict=True)
            )
        )
        self.head = convolve(channels[-1], head, 1, nn.ReLU6(inplace=True))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(head, classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, h, w) to logits (batch, classes)."""
        return self.classifier(self.dropout(self.pool(self.head(self.blocks(self.stem(x)))).flatten(1)))


def mobilenet_v2(
    *,
    in_channels: int,
    classes: int,
    width: float = 1.0,
    reduction: Literal[4, 8, 16, 32] = 32,
    head: int = _HEAD,
    dropout: float = 0.2,
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

    Raises:
        ModelError: width is not positive, or reduction is none of the four.
    """
    if width <= 0:
        raise ModelError(f"mobilenet_v2: width is {width}; expected a factor above 0; try 0.5")
    channels, expansions, strides = [round_channels(_STEM * width)], [], [2]
    for expansion, stage_channels, blocks, stride in _STAGES:
        channels += [round_channels(stage_channels * width)] * blocks
        expansions += [expansion] * blocks
        strides += [stride] + [1] * (blocks - 1)
    return MobileNetV2(
        in_channels,
        classes,
        channels,
        expansions,
        shrink_strides("mobilenet_v2", strides, reduction),
        round_channels(head * max(1.0, width)),
        dropout,
    )
