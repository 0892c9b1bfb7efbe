"""Layers side by side, and the short notation in which the Inception networks are written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from compress.models.convolution import Padding, convolve

_convolve = partial(convolve, epsilon=1e-3)


class Branches(nn.ModuleList):
    """Every branch sees the same image; their channels are put one after the other."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, h, w) to (batch, the branches' channels added, h', w')."""
        return torch.cat([branch(x) for branch in self], 1)


@dataclass(frozen=True)
class Conv:
    """A convolution, batch norm, ReLU.

    channels: of the output.
    kernel: height and width, or both in one number.
    """

    channels: int
    kernel: int | tuple[int, int] = 1
    stride: int = 1
    padding: Padding = "symmetric"


Step = Conv | nn.Module | tuple[Conv, ...]
"""A convolution, a pool, or convolutions side by side."""


def chain(in_channels: int, *steps: Step) -> nn.Sequential:
    """The steps one after the other.

    Args:
        in_channels: of the first.
        steps: pools keep the channels.
    """
    layers: list[nn.Module] = []
    channels = in_channels
    for step in steps:
        if isinstance(step, nn.Module):
            layers.append(step)
        elif isinstance(step, Conv):
            activation = nn.ReLU(inplace=True)
            layers.append(
                _convolve(channels, step.channels, step.kernel, activation, stride=step.stride, padding=step.padding)
            )
            channels = step.channels
        else:
            layers.append(split(channels, *((conv,) for conv in step)))
            channels = sum(conv.channels for conv in step)
    return nn.Sequential(*layers)


def split(in_channels: int, *branches: tuple[Step, ...]) -> Branches:
    """The branches, each a chain, side by side."""
    return Branches([chain(in_channels, *steps) for steps in branches])


def average() -> nn.Module:
    """The 3x3 average pool inside a block; pixels beyond the border do not count, as in TensorFlow."""
    return nn.AvgPool2d(3, 1, 1, count_include_pad=False)


def halve(*, partial_windows: bool = False) -> nn.Module:
    """The 3x3 maximum pool of stride 2, without padding.

    Args:
        partial_windows: a window that begins inside the image counts, even if it ends beyond.
    """
    return nn.MaxPool2d(3, 2, ceil_mode=partial_windows)
