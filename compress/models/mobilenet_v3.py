"""MobileNetV3, large and small (Howard et al. 2019, arXiv 1905.02244): squeeze-excitation and hard-swish."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from torch import Tensor, nn

from compress.errors import ModelError
from compress.models.convolution import Padding, convolve, initialise, round_channels, shrink_strides
from compress.models.inverted_residual import InvertedResidual, SqueezeExcitation, relu

_STEM = 16
hard_swish: Callable[[], nn.Module] = partial(nn.Hardswish, inplace=True)


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

_EPSILON = 1e-3  # as published. The published momentum (0.01) would judge a short training by its first weights.


def _block(in_channels: int, row: Bottleneck, padding: Padding) -> InvertedResidual:
    squeezed = round_channels(row.expanded / 4)
    return InvertedResidual(
        in_channels,
        row.expanded,
        row.channels,
        kernel=row.kernel,
        stride=row.stride,
        activation=hard_swish if row.hard_swish else relu,
        squeeze=SqueezeExcitation(row.expanded, squeezed, nn.Hardsigmoid) if row.squeeze else None,
        epsilon=_EPSILON,
        padding=padding,
    )


class MobileNetV3(nn.Module):
    """A stem, inverted residuals, a 1x1 convolution, global average pooling, and two linear layers.

    `activation` is what follows the convolutions and the linear layer outside the blocks.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        stem: int,
        stem_stride: int,
        rows: Sequence[Bottleneck],
        head: int,
        dropout: float,
        activation: Callable[[], nn.Module] = hard_swish,
        padding: Padding = "symmetric",
    ) -> None:
        super().__init__()
        layer = partial(convolve, epsilon=_EPSILON, padding=padding)
        self.stem = layer(in_channels, stem, 3, activation(), stride=stem_stride)
        sources = [stem, *(row.channels for row in rows)]
        self.blocks = nn.Sequential(*(_block(i, row, padding) for i, row in zip(sources, rows, strict=False)))
        last = 6 * rows[-1].channels
        self.last = layer(rows[-1].channels, last, 1, activation())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Sequential(nn.Linear(last, head), activation(), nn.Dropout(dropout))
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
    minimalistic: bool = False,
    padding: Literal["symmetric", "same"] = "symmetric",
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
        minimalistic: 3x3 kernels, no squeeze-excitation and ReLU throughout, for processors and runtimes that are slow
            at the rest (TensorFlow Models, research/slim/nets/mobilenet).
        padding: where layers that halve the image pad; `same` as in TensorFlow, cheaper in TFLite.

    Raises:
        ModelError: width is not positive, or reduction is none of the four.
    """
    if width <= 0:
        raise ModelError(f"mobilenet_v3: width is {width}; expected a factor above 0; try 0.75")
    rows: Sequence[Bottleneck] = _LARGE if size == "large" else _SMALL
    if minimalistic:
        rows = [replace(row, kernel=3, squeeze=False, hard_swish=False) for row in rows]
    stem_stride, *strides = shrink_strides("mobilenet_v3", [2, *(row.stride for row in rows)], reduction)
    scaled = [replace(row, stride=stride) for row, stride in zip(_scale(rows, width), strides, strict=True)]
    features = round_channels((head or _HEADS[size]) * max(1.0, width))
    stem, activation = round_channels(_STEM * width), relu if minimalistic else hard_swish
    return MobileNetV3(
        in_channels, classes, stem, stem_stride, scaled, features, dropout, activation=activation, padding=padding
    )


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
