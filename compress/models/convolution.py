"""What the convolutional networks share: their one kind of layer, their outline, how they choose sizes and weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compress.errors import ModelError

Padding = Literal["symmetric", "same", "valid"]
"""Where a convolution pads: by half a kernel on each side; as TensorFlow's SAME; nowhere."""


def convolve(
    in_channels: int,
    out_channels: int,
    kernel: int | tuple[int, int],
    activation: nn.Module | None = None,
    *,
    stride: int = 1,
    groups: int = 1,
    epsilon: float = 1e-5,
    padding: Padding = "symmetric",
) -> nn.Sequential:
    """A convolution without bias, batch norm, and an activation where one is given.

    Args:
        in_channels: of the images.
        out_channels: number of filters.
        kernel: height and width of a filter, odd.
        activation: what follows the batch norm.
        stride: 1 keeps height and width, 2 halves them, rounded up; unless padding is `valid`.
        groups: of channels that do not mix; in_channels makes it depthwise.
        epsilon: what batch norm adds to the variance.
        padding: `symmetric` and `same` differ where stride is 2 and the image even.
    """
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    convolution = SameConv2d if padding == "same" and stride > 1 else nn.Conv2d
    half = (height // 2, width // 2) if convolution is nn.Conv2d and padding != "valid" else 0
    layer = convolution(in_channels, out_channels, (height, width), stride, half, groups=groups, bias=False)
    norm = nn.BatchNorm2d(out_channels, eps=epsilon)
    return nn.Sequential(layer, norm) if activation is None else nn.Sequential(layer, norm, activation)


class SameConv2d(nn.Conv2d):
    """A convolution that pads as TensorFlow's SAME does: an odd row or column of zeros comes last.

    TFLite pads so by itself. Symmetric padding costs it a copy of every even image before a stride of 2.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, h, w) to (batch, out_channels, ceil(h / stride), ceil(w / stride))."""
        return super().forward(F.pad(x, self.edges(x.shape)))

    def edges(self, shape: torch.Size) -> tuple[int, ...]:
        """Columns of zeros to the left and right of images of a shape (..., h, w), then rows above and below."""
        edges: list[int] = []
        for size, kernel, stride in zip(shape[:-3:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = max(0, (math.ceil(size / stride) - 1) * stride + kernel - size)
            edges += [total // 2, total - total // 2]
        return tuple(edges)


class ImageClassifier(nn.Module):
    """Layers from image to image, global average pooling, dropout, a linear classifier.

    Args:
        stem: the first layers.
        blocks: what repeats.
        head: the last layers, whose images have `features` channels.
        features: channels of the head's images.
        classes: number of logits.
        dropout: share of the features that a training step drops.
    """

    def __init__(
        self, stem: nn.Module, blocks: nn.Module, head: nn.Module, features: int, classes: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.stem = stem
        self.blocks = blocks
        self.head = head
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(features, classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, h, w) to logits (batch, classes)."""
        return self.classifier(self.dropout(self.pool(self.head(self.blocks(self.stem(x)))).flatten(1)))


def round_channels(channels: float) -> int:
    """To the nearest multiple of 8, but not by more than a tenth down (the MobileNet authors' published code)."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


def shrink_strides(network: str, strides: Sequence[int], reduction: int) -> list[int]:
    """The strides with 1 for the first ones that are too many, so that images shrink by `reduction` in all.

    Args:
        network: who asks, for the message.
        strides: of the published network: each 1 or 2, with a product of 32.
        reduction: the factor wanted.

    Raises:
        ModelError: reduction is not 4, 8, 16 or 32.
    """
    if reduction not in (4, 8, 16, 32):
        raise ModelError(f"{network}: reduction is {reduction}; expected 4, 8, 16 or 32; try 8 for 32 pixels")
    kept = list(strides)
    while math.prod(kept) > reduction:
        kept[kept.index(2)] = 1
    return kept


def initialise(model: nn.Module) -> None:
    """He et al. 2015 by fan-out, counted within a group: a depthwise filter feeds one channel."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            fan_out = math.prod(layer.kernel_size) * layer.out_channels // layer.groups
            nn.init.normal_(layer.weight, 0.0, math.sqrt(2.0 / fan_out))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 0.01)
            nn.init.zeros_(layer.bias)
