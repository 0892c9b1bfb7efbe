"""A mobile CNN of depthwise separable convolutions and ReLU6 (MobileNetV1, Howard et al. 2017): the student."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from compress.models.convolution import convolve


class DepthwiseSeparable(nn.Module):
    """A 3x3 depthwise convolution, then a 1x1 convolution, each with batch norm and ReLU6."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, padding: Literal["symmetric", "same"] = "symmetric"
    ) -> None:
        super().__init__()
        self.depthwise = convolve(
            in_channels, in_channels, 3, nn.ReLU6(inplace=True), stride=stride, groups=in_channels, padding=padding
        )
        self.pointwise = convolve(in_channels, out_channels, 1, nn.ReLU6(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, h, w) to (batch, out_channels, ceil(h / stride), ceil(w / stride))."""
        return self.pointwise(self.depthwise(x))


class MobileCNN(nn.Module):
    """A stem of stride 2, depthwise separable blocks, global average pooling, a linear classifier."""

    def __init__(self, in_channels: int, classes: int, widths: tuple[int, ...], strides: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = convolve(in_channels, widths[0], 3, nn.ReLU6(inplace=True), stride=strides[0])
        self.blocks = nn.Sequential(
            *(DepthwiseSeparable(i, o, stride) for (i, o), stride in zip(pairwise(widths), strides[1:], strict=True))
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, h, w) in [0, 1] to logits (batch, classes)."""
        return self.classifier(self.pool(self.blocks(self.stem(x))).flatten(1))


def mobile_cnn(
    *,
    in_channels: int,
    classes: int,
    widths: tuple[int, ...] = (24, 48, 96, 96, 128),
    strides: tuple[int, ...] = (2, 1, 2, 1, 1),
) -> nn.Module:
    """A mobile CNN.

    Args:
        in_channels: channels of the images.
        classes: number of logits.
        widths: output channels of the stem and of each block.
        strides: stride of the stem and of each block; as many as widths.

    Raises:
        ValueError: widths and strides differ in length.
    """
    if len(widths) != len(strides):
        raise ValueError(f"{len(widths)} widths but {len(strides)} strides; expected one stride per width")
    return MobileCNN(in_channels, classes, widths, strides)
