"""Which operators run on integers, and where their output's scale and zero_point come from.

The table holds what both integer runtimes do natively; the reasons are those of the kernels. TFLite's 8-bit
quantisation specification demands equal parameters at both ends of an operator that only moves values, and fixed ones
for sigmoid, tanh and softmax.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import fx

from compress.quantize.capture import arguments, constant_of
from compress.quantize.pools import surrounds_pixels

aten = torch.ops.aten
Check = Callable[[fx.GraphModule, fx.Node], str | None]


def _always(_graph: fx.GraphModule, _node: fx.Node) -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How one operator is quantised.

    output: `own` range, observed on the calibration set; `shared` with its inputs; or `fixed` by the runtimes.
    weighted: its second argument is a per_channel weight, its third a bias.
    clips: an activation that follows may be fused into it, so that only the clipped output is observed.
    fixed: (scale, zero_point) where output is `fixed`.
    refuse: the reason why this particular node cannot run on integers, None if it can.
    """

    output: Literal["own", "shared", "fixed"]
    weighted: bool = False
    clips: bool = False
    fixed: tuple[float, int] | None = None
    refuse: Check = _always


def fuses(node: fx.Node) -> bool:
    """Whether the node is a clip that convolution, linear, addition and multiplication kernels apply for free."""
    return node.target is aten.relu.default or _limits(node) in ((0.0, 6.0), (-1.0, 1.0))


def _limits(node: fx.Node) -> tuple[Any, ...] | None:
    return arguments(node, 0, -1.0, 1.0)[1:] if node.target is aten.hardtanh.default else None


def _constant_weight(graph: fx.GraphModule, node: fx.Node) -> str | None:
    if constant_of(graph, node.args[1]) is None:
        return "its weight is computed at run time"
    bias = node.args[2] if len(node.args) > 2 else None
    return "its bias is computed at run time" if bias is not None and constant_of(graph, bias) is None else None


def _plain_sum(_graph: fx.GraphModule, node: fx.Node) -> str | None:
    if node.kwargs.get("alpha", 1) != 1:
        return "it scales its second operand (alpha)"
    if not all(isinstance(argument, fx.Node) for argument in node.args):
        return "an operand is a number known only at run time"
    return None


def _plain_windows(_graph: fx.GraphModule, node: fx.Node) -> str | None:
    plain = arguments(node, 0, 0, 0, 0, False, True, None)[3:] in ((0, False, True, None), ([0, 0], False, True, None))
    return (
        None
        if plain or surrounds_pixels(node)
        else "its windows reach over the border, where the runtimes count pixels differently"
    )


def _finite_pad(_graph: fx.GraphModule, node: fx.Node) -> str | None:
    return None if math.isfinite(arguments(node, 0, 0, 0)[2]) else "it pads with infinity"


def _without_wrapping(_graph: fx.GraphModule, node: fx.Node) -> str | None:
    return "LiteRT's converter wraps around in float" if arguments(node, 0, 0, "constant")[2] == "circular" else None


def _of_values(graph: fx.GraphModule, node: fx.Node) -> str | None:
    if any(constant_of(graph, argument) is not None for argument in node.args):
        return "one of its operands is a constant, whose scale is not that of the other"
    return None


ADDITIONS = (aten.add.Tensor, aten.sub.Tensor)
PRODUCTS = (aten.mul.Tensor, aten.matmul.default)
_MOVES = Rule(output="shared")
RULES: dict[Any, Rule] = {
    aten.conv2d.default: Rule(output="own", weighted=True, clips=True, refuse=_constant_weight),
    aten.linear.default: Rule(output="own", weighted=True, clips=True, refuse=_constant_weight),
    aten.add.Tensor: Rule(output="own", clips=True, refuse=_plain_sum),
    aten.sub.Tensor: Rule(output="own", clips=True, refuse=_plain_sum),
    aten.mul.Tensor: Rule(output="own", clips=True, refuse=_plain_sum),
    aten.matmul.default: Rule(output="own", refuse=_plain_sum),
    aten.mean.dim: Rule(output="own"),
    aten.hardswish.default: Rule(output="own"),
    aten.gelu.default: Rule(output="own"),
    aten.leaky_relu.default: Rule(output="own"),
    aten.sigmoid.default: Rule(output="fixed", fixed=(1 / 256, -128)),
    aten.tanh.default: Rule(output="fixed", fixed=(1 / 128, 0)),
    aten.softmax.int: Rule(output="fixed", fixed=(1 / 256, -128)),
    aten.relu.default: _MOVES,
    aten.hardtanh.default: _MOVES,
    aten.clamp.default: _MOVES,
    aten.max_pool2d.default: _MOVES,
    aten.avg_pool2d.default: Rule(output="shared", refuse=_plain_windows),
    aten.constant_pad_nd.default: Rule(output="shared", refuse=_finite_pad),
    aten.pad.default: Rule(output="shared", refuse=_without_wrapping),
    aten.cat.default: _MOVES,
    aten.maximum.default: Rule(output="shared", refuse=_of_values),
    aten.minimum.default: Rule(output="shared", refuse=_of_values),
    aten.where.self: Rule(output="shared", refuse=_of_values),
    aten.amax.default: _MOVES,
    aten.reshape.default: _MOVES,
    aten.flatten.using_ints: _MOVES,
    aten.permute.default: _MOVES,
    aten.transpose.int: _MOVES,
    aten.squeeze.dim: _MOVES,
    aten.squeeze.dims: _MOVES,
    aten.unsqueeze.default: _MOVES,
    aten.slice.Tensor: _MOVES,
    aten.select.int: _MOVES,
    aten.index_select.default: _MOVES,
    aten.expand.default: _MOVES,
    aten.pixel_shuffle.default: _MOVES,
    aten.upsample_nearest2d.vec: _MOVES,
    aten.upsample_bilinear2d.vec: _MOVES,
}
