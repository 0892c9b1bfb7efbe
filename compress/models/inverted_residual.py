"""The block of MobileNetV2 and of its descendants, and the networks that are nothing but a table of such blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor, nn

from compress.models.convolution import ImageClassifier, Padding, convolve, round_channels

relu6: Callable[[], nn.Module] = partial(nn.ReLU6, inplace=True)
relu: Callable[[], nn.Module] = partial(nn.ReLU, inplace=True)


class SqueezeExcitation(nn.Module):
    """Multiplies each channel by a gate between 0 and 1 that follows from the averages of all (Hu et al. 2018)."""

    def __init__(self, channels: int, squeezed: int, gate: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.relu = nn.ReLU(inplace=True)
        self.excite = nn.Conv2d(squeezed, channels, 1)
        self.gate = gate()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, h, w) to the same."""
        return x * self.gate(self.excite(self.relu(self.squeeze(self.pool(x)))))


class InvertedResidual(nn.Module):
    """Expansion by a 1x1 convolution, a depthwise convolution, a linear 1x1 projection to few channels.

    The shortcut joins the narrow ends, where the block keeps its shape.

    Args:
        in_channels: of the input.
        expanded: channels of the depthwise convolution; as many as in_channels need no expansion.
        channels: of the output.
        kernel: of the depthwise convolution.
        stride: likewise.
        activation: after the first two convolutions.
        squeeze: squeeze-excitation of the expanded channels, None for none.
        epsilon: what batch norm adds to the variance.
        padding: where a depthwise convolution of stride 2 pads.
    """

    def __init__(
        self,
        in_channels: int,
        expanded: int,
        channels: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        activation: Callable[[], nn.Module] = relu6,
        squeeze: SqueezeExcitation | None = None,
        epsilon: float = 1e-5,
        padding: Padding = "symmetric",
    ) -> None:
        super().__init__()
        layer = partial(convolve, epsilon=epsilon, padding=padding)
        self.expand = layer(in_channels, expanded, 1, activation()) if expanded != in_channels else nn.Identity()
        self.depthwise = layer(expanded, expanded, kernel, activation(), stride=stride, groups=expanded)
        self.squeeze = squeeze or nn.Identity()
        self.project = layer(expanded, channels, 1)
        self.has_shortcut = stride == 1 and in_channels == channels

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, h, w) to (batch, channels, ceil(h / stride), ceil(w / stride))."""
        out = self.project(self.squeeze(self.depthwise(self.expand(x))))
        return x + out if self.has_shortcut else out


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A row of the papers' tables: blocks of equal channels, of which the first may halve the image.

    expansion: channels of the depthwise convolution, as a multiple of the input's.
    squeeze: whether its blocks have squeeze-excitation, to a quarter of their input's channels, with a sigmoid.
    """

    expansion: int
    channels: int
    blocks: int = 1
    stride: int = 1
    kernel: int = 3
    squeeze: bool = False


def widen(stages: Sequence[Stage], width: float) -> list[Stage]:
    """The stages with their channels multiplied by `width`, rounded to multiples of 8."""
    return [replace(stage, channels=round_channels(stage.channels * width)) for stage in stages]


def stack(
    in_channels: int,
    classes: int,
    stages: Sequence[Stage],
    *,
    stem: int,
    head: int,
    activation: Callable[[], nn.Module],
    dropout: float,
    stem_stride: int = 2,
    epsilon: float = 1e-5,
    padding: Padding = "symmetric",
) -> ImageClassifier:
    """A 3x3 stem, the stages' blocks, a 1x1 convolution, and what classifies.

    Args:
        in_channels: channels of the images.
        classes: number of logits.
        stages: the table.
        stem: channels of the first convolution.
        head: channels of the last.
        activation: of all convolutions but the projections.
        dropout: share of the head's features that a training step drops.
        stem_stride: of the first convolution.
        epsilon: what batch norms add to the variance.
        padding: where a convolution of stride 2 pads.
    """
    layer = partial(convolve, epsilon=epsilon, padding=padding)
    first = layer(in_channels, stem, 3, activation(), stride=stem_stride)
    blocks: list[nn.Module] = []
    channels = stem
    for stage in stages:
        for number in range(stage.blocks):
            expanded = stage.expansion * channels
            block = InvertedResidual(
                channels,
                expanded,
                stage.channels,
                kernel=stage.kernel,
                stride=stage.stride if number == 0 else 1,
                activation=activation,
                squeeze=SqueezeExcitation(expanded, max(1, channels // 4), nn.Sigmoid) if stage.squeeze else None,
                epsilon=epsilon,
                padding=padding,
            )
            blocks.append(block)
            channels = stage.channels
    last = layer(channels, head, 1, activation())
    return ImageClassifier(first, nn.Sequential(*blocks), last, head, classes, dropout)
