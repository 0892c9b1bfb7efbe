"""A convolution or linear layer as a product: the windows of its input at drawn positions of its output."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, fx

from compress.quantize.capture import arguments

aten = torch.ops.aten
PRODUCTS = (aten.conv2d.default, aten.linear.default)
"""Layers whose weight is (filters, channels of a group, ...); what repair knows how to change."""


def groups_of(layer: fx.Node) -> int:
    """In how many groups the layer's channels fall; a linear layer has one."""
    return cast(int, arguments(layer, 0, 0, None, 1, 0, 1, 1)[6]) if layer.target is aten.conv2d.default else 1


def channel_axis(layer: fx.Node) -> int:
    """Which dimension of the layer's output holds its channels."""
    return -1 if layer.target is aten.linear.default else 1


def count_macs(layer: fx.Node, weight: Tensor) -> int:
    """Multiply-accumulates of a convolution or linear layer for one input."""
    if layer.target is aten.conv_transpose2d.input:  # each value of its input meets each tap
        return weight.numel() * math.prod(cast(fx.Node, layer.args[0]).meta["val"].shape[2:])
    shape = layer.meta["val"].shape
    return weight.numel() * math.prod(shape[1:]) // int(shape[channel_axis(layer)])


def draw_windows(layer: fx.Node, kernel: torch.Size, image: Tensor, count: int, random: torch.Generator) -> Tensor:
    """Rows of input whose product with the layer's weight is its output.

    Args:
        layer: a conv2d or linear node.
        kernel: the shape of its weight.
        image: (n, channels, height, width), or (..., features) for a linear layer.
        count: how many positions of each image at most; those of one batch lie at the same places.
        random: draws them.

    Returns:
        (groups, rows, taps) with taps = channels of a group * kernel height * kernel width, in the weight's order.
    """
    if layer.target is not aten.conv2d.default:
        rows = image.reshape(-1, image.shape[-1])
        return rows[torch.randperm(len(rows), generator=random)[: count * len(image)]][None]
    stride, padding, dilation = (_pair(each) for each in arguments(layer, 0, 0, None, 1, 0, 1, 1)[3:6])
    padded = torch.nn.functional.pad(image, (padding[1], padding[1], padding[0], padding[0]))
    height, width = (
        (padded.shape[2 + axis] - dilation[axis] * (kernel[2 + axis] - 1) - 1) // stride[axis] + 1 for axis in (0, 1)
    )
    places = torch.randperm(height * width, generator=random)[:count]
    down = _taps(places // width * stride[0], kernel[2], dilation[0])[:, :, None]
    across = _taps(places % width * stride[1], kernel[3], dilation[1])[:, None, :]
    windows = padded[:, :, down, across]  # (n, channels, places, kernel height, kernel width)
    groups = groups_of(layer)
    grouped = windows.reshape(len(image), groups, -1, *windows.shape[2:])
    return grouped.permute(1, 0, 3, 2, 4, 5).reshape(groups, len(image) * len(places), -1)


def _taps(starts: Tensor, size: int, dilation: int) -> Tensor:
    """(places, size) indices along one axis."""
    return starts[:, None] + dilation * torch.arange(size)


def _pair(value: int | list[int]) -> tuple[int, int]:
    sizes = [value] if isinstance(value, int) else value
    return sizes[0], sizes[-1]
