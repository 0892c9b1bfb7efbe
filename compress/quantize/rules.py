"""Which operators run on integers, and where their output's scale and zero_point come from.

The table holds what both integer runtimes do natively; the reasons are those of the kernels. TFLite's 8-bit
quantisation specification demands equal parameters at both ends of an operator that only moves values, and fixed ones
for sigmoid, tanh and softmax.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import fx

from compress.quantize.capture import arguments, constant_of

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


def _known_clip(_graph: fx.GraphModule, node: fx.Node) -> str | None:
    if fuses(node) or _limits(node) == (0.0, 1.0):
        return None
    return "the runtimes clip integers to [0, inf), [0, 1], [0, 6] and [-1, 1] only"


def _whole_windows(_graph: fx.GraphModule, node: fx.Node) -> str | None:
    # TFLite divides by the number of pixels inside the image, torch counts the padding unless told otherwise.
    padding, ceil_mode, count_padding, divisor = arguments(node, 0, 0, 0, 0, False, True, None)[3:]
    if ceil_mode or divisor is not None or (count_padding and any([padding] if isinstance(padding, int) else padding)):
        return "its windows reach over the border, where the runtimes count pixels differently"
    return None


def _pads_with_zero(_graph: fx.GraphModule, node: fx.Node) -> str | None:
    return None if arguments(node, 0, 0, 0)[2] == 0 else "it pads with a value other than 0"


def _over_last(_graph: fx.GraphModule, node: fx.Node) -> str | None:
    rank = cast(fx.Node, node.args[0]).meta["val"].dim()
    return None if cast(int, node.args[1]) in (-1, rank - 1) else "it does not normalise the last dimension"


ADDITIONS = (aten.add.Tensor, aten.sub.Tensor)
_MOVES = Rule(output="shared")
RULES: dict[Any, Rule] = {
    aten.conv2d.default: Rule(output="own", weighted=True, clips=True, refuse=_constant_weight),
    aten.linear.default: Rule(output="own", weighted=True, clips=True, refuse=_constant_weight),
    aten.add.Tensor: Rule(output="own", clips=True, refuse=_plain_sum),
    aten.sub.Tensor: Rule(output="own", clips=True, refuse=_plain_sum),
    aten.mul.Tensor: Rule(output="own", clips=True, refuse=_plain_sum),
    aten.mean.dim: Rule(output="own"),
    aten.hardswish.default: Rule(output="own"),
    aten.gelu.default: Rule(output="own"),
    aten.leaky_relu.default: Rule(output="own"),
    aten.sigmoid.default: Rule(output="fixed", fixed=(1 / 256, -128)),
    aten.tanh.default: Rule(output="fixed", fixed=(1 / 128, 0)),
    aten.softmax.int: Rule(output="fixed", fixed=(1 / 256, -128), refuse=_over_last),
    aten.relu.default: _MOVES,
    aten.hardtanh.default: Rule(output="shared", refuse=_known_clip),
    aten.max_pool2d.default: _MOVES,
    aten.avg_pool2d.default: Rule(output="shared", refuse=_whole_windows),
    aten.constant_pad_nd.default: Rule(output="shared", refuse=_pads_with_zero),
    aten.cat.default: _MOVES,
    aten.reshape.default: _MOVES,
    aten.flatten.using_ints: _MOVES,
    aten.permute.default: _MOVES,
    aten.transpose.int: _MOVES,
    aten.squeeze.dim: _MOVES,
    aten.squeeze.dims: _MOVES,
    aten.unsqueeze.default: _MOVES,
    aten.slice.Tensor: _MOVES,
    aten.upsample_nearest2d.vec: _MOVES,
}
