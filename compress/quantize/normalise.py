"""One spelling for each operation, so that the rules of quantisation need to know only one.

PyTorch writes ReLU6 in three ways, a global average pool in two, and hides elementary steps in composite activations.
Every rewrite here keeps the function: exactly, or (composite activations) to float rounding.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, fx

from compress.quantize import composites, pools
from compress.quantize.capture import add_constant, arguments, call, constant_of, drop_unused

aten = torch.ops.aten
_IDENTITIES = (aten.clone.default, aten.alias.default, aten.detach.default, aten.dropout.default)
_ARITHMETIC = (aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor)


def normalise(graph: fx.GraphModule) -> fx.GraphModule:
    """Rewrite `graph` in place into the vocabulary of `rules.RULES`; return it."""
    for node in list(graph.graph.nodes):
        if node.op != "call_function":
            continue
        with graph.graph.inserting_before(node):
            replacement = _fold_constant(graph, node) or _rewrite(graph, node)
        if replacement is not None:
            node.replace_all_uses_with(replacement)
            graph.graph.erase_node(node)
    return drop_unused(graph)


def _fold_constant(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """Compute now what depends on weights alone, such as a reshaped scale or a normalised weight."""
    sources = node.all_input_nodes
    if not sources or any(source.op != "get_attr" for source in sources):
        return None
    args, kwargs = fx.map_arg((node.args, node.kwargs), lambda source: constant_of(graph, source))
    with torch.no_grad():
        value = cast(Callable[..., Any], node.target)(*args, **kwargs)
    return add_constant(graph, node.name, value) if isinstance(value, Tensor) else None


def _rewrite(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """The node's replacement, None where it may stay as it is."""
    if node.target in _IDENTITIES:
        return cast(fx.Node, node.args[0])
    if node.target in _ARITHMETIC:
        return _lift_constant(graph, node)
    rewrite = _REWRITES.get(node.target)
    return None if rewrite is None else rewrite(graph, node)


def _reshape(graph: fx.GraphModule, node: fx.Node) -> fx.Node:
    return call(graph, node, aten.reshape.default, *node.args)


def _relu6(graph: fx.GraphModule, node: fx.Node) -> fx.Node:
    return call(graph, node, aten.hardtanh.default, node.args[0], 0.0, 6.0)


def _clamp(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    image, low, high = arguments(node, 0, None, None)
    if node.target is aten.clamp_max.default:
        low, high = None, low
    if low == 0 and high is None:
        return call(graph, node, aten.relu.default, image)
    if isinstance(low, int | float) and isinstance(high, int | float):
        return call(graph, node, aten.hardtanh.default, image, float(low), float(high))
    return call(graph, node, aten.clamp.default, image, low, high) if node.target is not aten.clamp.default else None


def _mean(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """mean((2, 3)) of images in two steps; in one, a channel-last runtime must transpose the image back first."""
    image, axes, keeps_axes = arguments(node, 0, None, False)[:3]
    if image.meta["val"].dim() != 4 or sorted(axis % 4 for axis in axes or ()) != [2, 3] or keeps_axes:
        return None
    pooled = call(graph, node, aten.mean.dim, image, [2, 3], True)
    pooled.meta["val"] = node.meta["val"][:, :, None, None]
    return call(graph, node, aten.flatten.using_ints, pooled, 1)


def _lift_constant(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """x + 2 -> x + tensor([[[[2.]]]]); divisions and subtractions by constants become products and sums.

    Constants get the rank of what they meet, because a channel-last runtime must know which dimension is which.
    """
    left, right = node.args
    value = constant_of(graph, right)
    if isinstance(right, int | float):
        value = torch.tensor([float(right)])
    if value is None or node.kwargs.get("alpha", 1) != 1 or not isinstance(left, fx.Node):
        return None
    target = node.target
    if target is aten.div.Tensor:
        target, value = aten.mul.Tensor, 1.0 / value
    elif target is aten.sub.Tensor:
        target, value = aten.add.Tensor, -value
    missing = node.meta["val"].dim() - value.dim()
    constant = add_constant(graph, f"{node.name}_constant", value.reshape(*[1] * missing, *value.shape))
    return call(graph, node, cast(Any, target), left, constant)


def _from_the_left(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """2 - x as x * -1 + 2: neither runtime subtracts integers from a constant."""
    number = node.args[1]
    if not isinstance(number, int | float) or node.kwargs.get("alpha", 1) != 1:
        return None
    constant = add_constant(graph, f"{node.name}_constant", torch.full([1] * node.meta["val"].dim(), float(number)))
    return call(graph, node, aten.add.Tensor, composites.negative(graph, node), constant)


_REWRITES: dict[Any, Callable[[fx.GraphModule, fx.Node], fx.Node | None]] = {
    aten.view.default: _reshape,
    aten._unsafe_view.default: _reshape,
    aten.relu6.default: _relu6,
    aten.clamp.default: _clamp,
    aten.clamp_max.default: _clamp,
    aten.clamp_min.default: _clamp,
    aten.mean.dim: _mean,
    aten.rsub.Scalar: _from_the_left,
    operator.getitem: composites.part,
    aten.silu.default: composites.silu,
    aten.hardsigmoid.default: composites.hardsigmoid,
    aten.glu.default: composites.gated_linear_unit,
    aten.prelu.default: composites.prelu,
    aten.scaled_dot_product_attention.default: composites.attention,
    aten.softmax.int: composites.softmax_last,
    aten.matmul.default: composites.matrix_product,
    aten.mm.default: composites.matrix_product,
    aten.bmm.default: composites.matrix_product,
    aten.sum.dim_IntList: composites.total,
    aten.pow.Tensor_Scalar: composites.square,
    aten.neg.default: composites.negative,
    aten.repeat.default: composites.repeat,
    aten.stack.default: composites.stack,
    aten.pixel_unshuffle.default: composites.gather_pixels,
    aten.channel_shuffle.default: composites.shuffle_channels,
    aten.avg_pool1d.default: pools.pool_row,
    aten.max_pool1d.default: pools.pool_row,
    aten.avg_pool2d.default: pools.average_pool,
    aten.adaptive_avg_pool1d.default: pools.adaptive_average,
    aten.adaptive_avg_pool2d.default: pools.adaptive_average,
    aten.conv1d.padding: pools.same_padding,
    aten.conv2d.padding: pools.same_padding,
    aten.conv3d.padding: pools.same_padding,
    aten.pad.default: pools.constant_pad,
    aten.index.Tensor: composites.choose_places,
    aten.upsample_nearest2d.vec: pools.nearest,
}
