"""Which values of a float graph may be scaled per channel together, without a change of what the graph computes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, fx

from compress.quantize.windows import PRODUCTS

aten = torch.ops.aten
SUMS = (aten.add.Tensor, aten.sub.Tensor)
_SPATIAL = (aten.max_pool2d.default, aten.avg_pool2d.default, aten.mean.dim, aten.upsample_nearest2d.vec)
_FLATTENS = (aten.flatten.using_ints, aten.reshape.default)
COMMUTES = (*SUMS, *_SPATIAL, aten.relu.default, aten.leaky_relu.default, *_FLATTENS)
"""Operators f with f(s x) = s f(x) for positive s per channel, whose operands and result have the same channels."""


@dataclass(kw_only=True)
class Stretch:
    """Values that must share their factors; the layers that write them, and the layers that read them."""

    values: list[fx.Node] = field(default_factory=list)
    writers: list[fx.Node] = field(default_factory=list)
    readers: list[fx.Node] = field(default_factory=list)


def find_stretches(layers: Sequence[fx.Node]) -> list[Stretch]:
    """Stretches that begin and end in weights, in graph order.

    Args:
        layers: nodes with constant weights, in graph order; those that are no PRODUCTS are left alone.
    """
    constants = Counter(str(arg.target) for layer in layers for arg in layer.args[1:3] if isinstance(arg, fx.Node))
    own = {
        layer
        for layer in layers
        if layer.target in PRODUCTS and all(constants[str(arg.target)] == 1 for arg in _constants(layer))
    }
    stretches: list[Stretch] = []
    seen: set[fx.Node] = set()
    for layer in layers:
        if layer in seen:
            continue
        stretch = _grow(layer, own)
        seen.update(stretch.values if stretch else ())
        if stretch is not None:
            stretches.append(stretch)
    return stretches


def _constants(layer: fx.Node) -> list[fx.Node]:
    return [argument for argument in layer.args[1:3] if isinstance(argument, fx.Node)]


def _grow(start: fx.Node, layers: set[fx.Node]) -> Stretch | None:
    """All values that must be scaled with this layer's output, None if one of them must not be."""
    stretch = Stretch()
    waiting = [start]
    while waiting:
        value = waiting.pop()
        if value in stretch.values:
            continue
        if not _channels_match(value, start):
            return None
        stretch.values.append(value)
        if value in layers:
            stretch.writers.append(value)
        elif _commutes(value):
            waiting += [source for source in value.all_input_nodes if isinstance(source.meta.get("val"), Tensor)]
        else:
            return None
        for user in value.users:
            if user in layers:
                stretch.readers.append(user)
            elif _commutes(user):
                waiting.append(user)
            elif isinstance(user.meta.get("val"), Tensor) or user.op == "output":  # a read of its size is harmless
                return None
    return stretch if stretch.readers else None


def _channels_match(value: fx.Node, start: fx.Node) -> bool:
    """Whether dimension 1 of both holds the same channels; a linear layer keeps them there in two dimensions only."""
    tensor, other = value.meta.get("val"), start.meta["val"]
    if not isinstance(tensor, Tensor) or tensor.dim() not in (2, 4) or tensor.shape[1] != other.shape[1]:
        return False
    return tensor.dim() == 2 or not any(node.target is aten.linear.default for node in (value, *value.users))


def _commutes(node: fx.Node) -> bool:
    if node.target not in COMMUTES or node.kwargs.get("alpha", 1) != 1:
        return False
    shape = node.all_input_nodes[0].meta["val"].shape
    if node.target is aten.mean.dim:
        return len(shape) == 4 and sorted(axis % 4 for axis in cast(list[int], node.args[1])) == [2, 3]
    if node.target in _FLATTENS:
        return len(shape) == 4 and tuple(shape[2:]) == (1, 1)
    if node.target in SUMS:
        return all(isinstance(operand, fx.Node) and operand.op != "get_attr" for operand in node.args)
    return True
