"""Cross-layer equalisation: channels that share a scale get like ranges, and the float function stays what it was.

An activation has one scale for all its channels, so that a channel whose range is a hundredth of the largest keeps two
or three of the 256 steps. Multiply what a layer gives out per channel by s > 0 and divide what its readers' weights
make of that channel by s: nothing changes in float (Nagel et al. 2019, "Data-Free Quantization Through Weight
Equalization and Bias Correction", section 4.1). What differs here:

- The ranges that are made alike are those of the activation and of the readers' weights. Nagel's are those of the
  weights on both sides; with per_channel weights the step of a layer's own filter follows s and costs nothing.
- A stretch is not two layers but all that must share s: along a chain of residual additions every layer that adds to
  the sum and every layer that reads it.
- ReLU commutes with s, ReLU6 does not: it would have to clip channel c at 6 s_c, and neither runtime has a clip per
  channel that costs nothing. Nagel replaces ReLU6 by ReLU, which is another function. Here a stretch with ReLU6, or any
  other operator that does not commute, is left alone: in networks of inverted residuals the linear bottlenecks, whose
  ranges nothing bounds, are what remains and what profits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, fx

from compress.quantize.calibrate import watch
from compress.quantize.capture import constant_of
from compress.quantize.expectations import STATISTICS
from compress.quantize.placement import Layer
from compress.quantize.stretches import Stretch, find_stretches
from compress.quantize.windows import groups_of

LARGEST_FACTOR = 64.0  # either way: beyond, a channel that is nearly dead would set the pace
_ROUNDS = 8


def equalise(graph: fx.GraphModule, layers: Sequence[Layer], data: Tensor) -> int:
    """Rewrite weights and biases of `graph` in place, wherever that is exact.

    Args:
        graph: float, normalised, batch norm folded.
        layers: what will run on integers; weights elsewhere are left alone.
        data: (n, ...) float32, the calibration set: shows each channel's range.

    Returns:
        The number of stretches that were equalised.
    """
    stretches = find_stretches([layer.node for layer in layers])
    of_value = {value: number for number, stretch in enumerate(stretches) for value in stretch.values}
    ranges: dict[fx.Node, Tensor] = {}

    def widen(value: fx.Node, seen: Tensor) -> None:
        largest = seen.abs().transpose(0, 1).flatten(1).amax(1)
        ranges[value] = torch.maximum(ranges.get(value, largest), largest)

    watch(graph, of_value, data, widen)
    for stretch in stretches:
        _equalise_one(graph, stretch, ranges)
    return len(stretches)


def _equalise_one(graph: fx.GraphModule, stretch: Stretch, ranges: dict[fx.Node, Tensor]) -> None:
    """Repeated, because the largest weight of a reader's filter moves with the factors."""
    total = torch.ones(())
    for _ in range(_ROUNDS):
        wanted = (total * _factors(graph, stretch, ranges)).clamp(1 / LARGEST_FACTOR, LARGEST_FACTOR)
        change, total = wanted / total, wanted
        _scale(graph, stretch, change)
        for value in stretch.values:
            ranges[value] = ranges[value] * change


def _factors(graph: fx.GraphModule, stretch: Stretch, ranges: dict[fx.Node, Tensor]) -> Tensor:
    """s per channel, (channels,): it makes the activation's and the weights' relative ranges equal in each.

    Relative, because what counts is how much of the tensor's or filter's steps a channel uses.
    """
    activation = torch.stack([ranges[value] / ranges[value].max() for value in stretch.values]).amax(0)
    shares = [_input_shares(cast(Tensor, constant_of(graph, reader.args[1])), reader) for reader in stretch.readers]
    weight = torch.stack(shares).amax(0)
    alive = (activation > 0) & (weight > 0) & activation.isfinite() & weight.isfinite()
    logarithm = torch.where(alive, (weight / activation).log() / 2, 0.0)
    mean = logarithm.sum() / alive.sum().clamp(min=1)
    return torch.where(alive, (logarithm - mean).exp(), 1.0)


def _input_shares(weight: Tensor, reader: fx.Node) -> Tensor:
    """Largest magnitude of each input channel's weights, in units of their filter's largest; 1 for depthwise."""
    filters = weight.abs().flatten(1).amax(1).reshape(-1, *[1] * (weight.dim() - 1))
    shares = (weight.abs() / filters).nan_to_num(0.0)
    return _by_input(shares, groups_of(reader)).transpose(1, 2).flatten(2).amax(2).flatten()


def _by_input(weight: Tensor, groups: int) -> Tensor:
    """(groups, filters of a group, channels of a group, ...)."""
    return weight.reshape(groups, len(weight) // groups, *weight.shape[1:])


def _scale(graph: fx.GraphModule, stretch: Stretch, factors: Tensor) -> None:
    for writer in stretch.writers:
        for constant in (constant_of(graph, argument) for argument in writer.args[1:3]):
            if constant is not None:
                constant.mul_(factors.reshape(-1, *[1] * (constant.dim() - 1)))
        if STATISTICS in writer.meta:
            writer.meta[STATISTICS] = tuple(each * factors for each in writer.meta[STATISTICS])
    for reader in stretch.readers:
        weight = cast(Tensor, constant_of(graph, reader.args[1]))
        grouped = _by_input(weight, groups_of(reader))
        grouped.div_(factors.reshape(len(grouped), 1, -1, *[1] * (weight.dim() - 2)))
