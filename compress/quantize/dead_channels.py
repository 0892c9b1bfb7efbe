"""Dead channels made constant, so that rounding can neither wake them nor be spoilt by them.

A channel that its activation holds at one value for every input, at 0 for most, carries nothing. Its weights still ask
for a scale of their own, and its rounded pre-activation can cross 0 where the float one never did. With weights of 0
and the constant as bias it stays what it was.

Few images say little about what never fires: clamping all that was constant on 32 crops cost EfficientNet-Lite0 12 dB
on other photographs. So batch norm, which has seen the training set, must agree: DEVIATIONS around the mean of its
output are clipped to one value. Layers without batch norm are left alone.
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
from compress.quantize.windows import PRODUCTS, channel_axis

DEVIATIONS = 6.0


def clamp_dead_channels(graph: fx.GraphModule, layers: Sequence[Layer], data: Tensor) -> int:
    """Rewrite weights and biases of `graph` in place; layers without an activation have no dead channels.

    Args:
        graph: float; weights and biases have one reader each where they are changed.
        layers: with biases; in graph order.
        data: (n, ...) float32, the calibration set; what it shows alive stays alive.

    Returns:
        The number of channels that are constant now and were not by their weights.
    """
    of_output = {
        layer.output: layer
        for layer in layers
        if layer.output is not layer.node and layer.node.target in PRODUCTS and STATISTICS in layer.node.meta
    }
    lows: dict[fx.Node, Tensor] = {}
    highs: dict[fx.Node, Tensor] = {}

    def widen(output: fx.Node, value: Tensor) -> None:
        low, high = torch.aminmax(value.transpose(0, channel_axis(of_output[output].node)).flatten(1), dim=1)
        lows[output] = torch.minimum(lows.get(output, low), low)
        highs[output] = torch.maximum(highs.get(output, high), high)

    watch(graph, of_output, data, widen)
    return sum(_clamp(graph, layer, lows[output], highs[output]) for output, layer in of_output.items())


def _clamp(graph: fx.GraphModule, layer: Layer, low: Tensor, high: Tensor) -> int:
    constants = [cast(fx.Node, argument) for argument in layer.node.args[1:3]]
    if any(len(constant.users) > 1 for constant in constants):
        return 0  # another layer shares these weights, and lives
    weight, bias = (cast(Tensor, constant_of(graph, constant)) for constant in constants)
    mean, deviation = layer.node.meta[STATISTICS]
    lowest, highest = (layer.activate(mean + sign * DEVIATIONS * deviation) for sign in (-1, 1))
    dead = (low == high) & (lowest == highest) & low.isfinite()
    changed = int((dead & (weight.flatten(1).abs().amax(1) > 0)).sum())
    weight[dead] = 0.0
    bias.copy_(torch.where(dead, low, bias))
    return changed
