"""What the mobile networks share: their one kind of layer, and how the MobileNets choose sizes and weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from compress.errors import ModelError


def convolve(
    in_channels: int,
    out_channels: int,
    kernel: int,
    activation: nn.Module | None = None,
    *,
    stride: int = 1,
    groups: int = 1,
    epsilon: float = 1e-5,
) -> nn.Sequential:
    """A convolution without bias, batch norm, and an activation where one is given.

    Args:
        in_channels: of the images.
        out_channels: number of filters.
        kernel: height and width of a filter, odd; the image is padded by half of it.
        activation: what follows the batch norm.
        stride: 1 keeps height and width, 2 halves them, rounded up.
        groups: of channels that do not mix; in_channels makes it depthwise.
        epsilon: what batch norm adds to the variance.
    """
    layer = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)
    norm = nn.BatchNorm2d(out_channels, eps=epsilon)
    return nn.Sequential(layer, norm) if activation is None else nn.Sequential(layer, norm, activation)


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
