"""MobileNetV3, large and small (Howard et al. 2019, arXiv 1905.02244): squeeze-excitation and hard-swish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from torch import Tensor, nn

from compress.errors import ModelError
from compress.models.convolution import convolve, initialise, round_channels, shrink_strides

_STEM = 16


@dataclass(frozen=True)
class Bottleneck:
    """One row of the paper's tables 1 and 2.

    kernel: of the depthwise convolution.
    expanded: channels of the depthwise convolution.
    channels: of the output.
    squeeze: whether it has squeeze-excitation.
    hard_swish: whether its activation is hard-swish; ReLU otherwise.
    stride: of the depthwise convolution.
    """

    kernel: int
    expanded: int
    channels: int
    squeeze: bool
    hard_swish: bool
    stride: int


_LARGE = (
    Bottleneck(3, 16, 16, False, False, 1),
    Bottleneck(3, 64, 24, False, False, 2),
    Bottleneck(3, 72, 24, False, False, 1),
    Bottleneck(5, 72, 40, True, False, 2),
    Bottleneck(5, 120, 40, True, False, 1),
    Bottleneck(5, 120, 40, True, False, 1),
    Bottleneck(3, 240, 80, False, True, 2),
    Bottleneck(3, 200, 80, False, True, 1),
    Bottleneck(3, 184, 80, False, True, 1),
    Bottleneck(3, 184, 80, False, True, 1),
    Bottleneck(3, 480, 112, True, True, 1),
    Bottleneck(3, 672, 112, True, True, 1),
    Bottleneck(5, 672, 160, True, True, 2),
    Bottleneck(5, 960, 160, True, True, 1),
    Bottleneck(5, 960, 160, True, True, 1),
)
_SMALL = (
    Bottleneck(3, 16, 16, True, False, 2),
    Bottleneck(3, 72, 24, False, False, 2),
    Bottleneck(3, 88, 24, False, False, 1),
    Bottleneck(5, 96, 40, True, True, 2),
    Bottleneck(5, 240, 40, True, True, 1),
    Bottleneck(5, 240, 40, True, True, 1),
    Bottleneck(5, 120, 48, True, True, 1),
    Bottleneck(5, 144, 48, True, True, 1),
    Bottleneck(5, 288, 96, True, True, 2),
    Bottleneck(5, 576, 96, True, True, 1),
    Bottleneck(5, 576, 96, True, True, 1),
)
_HEADS = {"large": 1280, "small": 1024}

# The published epsilon. The published momentum (0.01) would judge a short training by its first weights.
_convolve = partial(convolve, epsilon=1e-3)


class SqueezeExcitation(nn.Module):
    """Multiplies each channel by a gate between 0 and 1 that follows from the averages of all (Hu et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = round_channels(channels / 4)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.relu = nn.ReLU(inplace=True)
        self.excite = nn.Conv2d(squeezed, channels, 1)
        self.gate = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, h, w) to the same."""
        return x * self.gate(self.excite(self.relu(self.squeeze(self.pool(x)))))


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, squeeze-excitation, linear projection; a shortcut where the shape stays."""

    def __init__(self, in_channels: int, row: Bottleneck) -> None:
        super().__init__()
        activation = nn.Hardswish if row.hard_swish else nn.ReLU
        grows = row.expanded != in_channels
        self.expand = _convolve(in_channels, row.expanded, 1, activation(inplace=True)) if grows else nn.Identity()
        self.depthwise = _convolve(
            row.expanded,
            row.expanded,
            row.kernel,
            activation(inplace=True),
            stride=row.stride,
            groups=row.expanded,
        )
        self.squeeze = SqueezeExcitation(row.expanded) if row.squeeze else nn.Identity()
        self.project = _convolve(row.expanded, row.channels, 1)
        self.has_shortcut = row.stride == 1 and in_channels == row.channels

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, h, w) to (batch, channels, ceil(h / stride), ceil(w / stride))."""
        out = self.project(self.squeeze(self.depthwise(self.expand(x))))
        return x + out if self.has_shortcut else out


class MobileNetV3(nn.Module):
    """A stem, inverted residuals, a 1x1 convolution, global average pooling, and two linear layers."""

    def __init__(
        self,
        in_channels: int,
        classes: int,
        stem: int,
        stem_stride: int,
        rows: Sequence[Bottleneck],
        head: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.stem = _convolve(in_channels, stem, 3, nn.Hardswish(inplace=True), stride=stem_stride)
        sources = [stem, *(row.channels for row in rows)]
        self.blocks = nn.Sequential(*(InvertedResidual(i, row) for i, row in zip(sources, rows, strict=False)))
        last = 6 * rows[-1].channels
        self.last = _convolve(rows[-1].channels, last, 1, nn.Hardswish(inplace=True))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Sequential(nn.Linear(last, head), nn.Hardswish(inplace=True), nn.Dropout(dropout))
        self.classifier = nn.Linear(head, classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, h, w) to logits (batch, classes)."""
        features = self.last(self.blocks(self.stem(x)))
        return self.classifier(self.head(self.pool(features).flatten(1)))


def mobilenet_v3(
    *,
    in_channels: int,
    classes: int,
    size: Literal["large", "small"] = "large",
    width: float = 1.0,
    reduction: Literal[4, 8, 16, 32] = 32,
    head: int | None = None,
    dropout: float = 0.2,
) -> nn.Module:
    """MobileNetV3; with the defaults and 224 x 224 colour images, the published network.

    Args:
        in_channels: channels of the images.
        classes: number of logits.
        size: which of the two networks.
        width: multiplies the channels of every layer, rounded to multiples of 8.
        reduction: by how much height and width shrink in all. 32 as published; 8 suits images of 28 to 32 pixels:
            the stem and the first blocks that would halve the image then keep its size.
        head: features before the classifier, by default 1280 (large) and 1024 (small); grows with a width above 1
            and does not shrink below, as published.
        dropout: share of these features that a training step drops.

    Raises:
        ModelError: width is not positive, or reduction is none of the four.
    """
    if width <= 0:
        raise ModelError(f"mobilenet_v3: width is {width}; expected a factor above 0; try 0.75")
    rows = _LARGE if size == "large" else _SMALL
    stem_stride, *strides = shrink_strides("mobilenet_v3", [2, *(row.stride for row in rows)], reduction)
    scaled = [replace(row, stride=stride) for row, stride in zip(_scale(rows, width), strides, strict=True)]
    features = round_channels((head or _HEADS[size]) * max(1.0, width))
    return MobileNetV3(in_channels, classes, round_channels(_STEM * width), stem_stride, scaled, features, dropout)


def _scale(rows: Sequence[Bottleneck], width: float) -> list[Bottleneck]:
    """The rows at another width; an expansion keeps its ratio to the rounded channels before it, as published."""
    sources = (_STEM, *(row.channels for row in rows))
    return [
        replace(
            row,
            expanded=round_channels(round_channels(source * width) * row.expanded / source),
            channels=round_channels(row.channels * width),
        )
        for source, row in zip(sources, rows, strict=False)
    ]
