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

from compress.quantize.capture import add_constant, arguments, constant_of, drop_unused

aten = torch.ops.aten
_IDENTITIES = (aten.clone.default, aten.alias.default, aten.detach.default, aten.dropout.default)
_SPLITS = (aten.split.Tensor, aten.split_with_sizes.default, aten.chunk.default)
_ARITHMETIC = (aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor)
Argument = Any
"""What fx allows as an argument of a node; its own alias is private."""


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
    if node.target is operator.getitem:
        return _slice_of_split(graph, node)
    rewrite = _REWRITES.get(node.target)
    return None if rewrite is None else rewrite(graph, node)


def _call(graph: fx.GraphModule, like: fx.Node, target: Callable[..., Any], *args: Argument) -> fx.Node:
    """A new call in the place of `like`, with its shape and origin."""
    node = graph.graph.call_function(target, args)
    node.meta = dict(like.meta)
    return node


def _reshape(graph: fx.GraphModule, node: fx.Node) -> fx.Node:
    return _call(graph, node, aten.reshape.default, *node.args)


def _relu6(graph: fx.GraphModule, node: fx.Node) -> fx.Node:
    return _call(graph, node, aten.hardtanh.default, node.args[0], 0.0, 6.0)


def _clamp(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    image, low, high = arguments(node, 0, None, None)
    if low == 0 and high is None:
        return _call(graph, node, aten.relu.default, image)
    if isinstance(low, int | float) and isinstance(high, int | float):
        return _call(graph, node, aten.hardtanh.default, image, float(low), float(high))
    return None


def _global_average(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    if list(cast(list[int], node.args[1])) != [1, 1]:
        return None
    return _call(graph, node, aten.mean.dim, node.args[0], [2, 3], True)


def _mean(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """mean((2, 3)) of images in two steps; in one, a channel-last runtime must transpose the image back first."""
    image, axes, keeps_axes = arguments(node, 0, None, False)[:3]
    if image.meta["val"].dim() != 4 or sorted(axis % 4 for axis in axes or ()) != [2, 3] or keeps_axes:
        return None
    pooled = _call(graph, node, aten.mean.dim, image, [2, 3], True)
    pooled.meta["val"] = node.meta["val"][:, :, None, None]
    return _call(graph, node, aten.flatten.using_ints, pooled, 1)


def _silu(graph: fx.GraphModule, node: fx.Node) -> fx.Node:
    gate = _call(graph, node, aten.sigmoid.default, node.args[0])
    return _call(graph, node, aten.mul.Tensor, node.args[0], gate)


def _hardsigmoid(graph: fx.GraphModule, node: fx.Node) -> fx.Node:
    """relu6(x + 3) / 6 (Howard et al. 2019, section 5.2); the integer runtimes have no kernel for it."""
    three = add_constant(graph, "three", torch.tensor([3.0]))
    sixth = add_constant(graph, "sixth", torch.tensor([1.0 / 6.0]))
    shifted = _call(graph, node, aten.add.Tensor, node.args[0], three)
    clipped = _call(graph, node, aten.hardtanh.default, shifted, 0.0, 6.0)
    return _call(graph, node, aten.mul.Tensor, clipped, sixth)


def _same_padding(graph: fx.GraphModule, node: fx.Node) -> fx.Node:
    """conv2d with padding given as a word, written with numbers; an uneven total becomes a pad of its own."""
    image, weight, bias, stride, word, dilation, groups = arguments(node, 0, 0, None, [1, 1], "valid", [1, 1], 1)
    total = [step * (size - 1) for step, size in zip(dilation, weight.meta["val"].shape[2:], strict=True)]
    if word == "valid":
        total = [0, 0]
    if any(size % 2 for size in total):  # torch puts the odd row or column at the end
        edges = [total[1] // 2, total[1] - total[1] // 2, total[0] // 2, total[0] - total[0] // 2]
        image, total = _call(graph, node, aten.constant_pad_nd.default, image, edges, 0.0), [0, 0]
    padding = [size // 2 for size in total]
    return _call(graph, node, aten.conv2d.default, image, weight, bias, stride, padding, dilation, groups)


def _constant_pad(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    image, edges, mode, value = arguments(node, 0, 0, "constant", None)
    return _call(graph, node, aten.constant_pad_nd.default, image, edges, value or 0.0) if mode == "constant" else None


def _slice_of_split(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """One part of a split or chunk as a slice: an operator with one output has one scale."""
    source, position = cast(tuple[fx.Node, int], node.args)
    if source.target not in _SPLITS:
        return None
    image, _, dim = arguments(source, 0, 0, 0)
    sizes = [part.shape[dim] for part in source.meta["val"]]
    start = sum(sizes[:position])
    return _call(graph, node, aten.slice.Tensor, image, dim, start, start + sizes[position])


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
    return _call(graph, node, cast(Any, target), left, constant)


_REWRITES: dict[Any, Callable[[fx.GraphModule, fx.Node], fx.Node | None]] = {
    aten.view.default: _reshape,
    aten._unsafe_view.default: _reshape,
    aten.relu6.default: _relu6,
    aten.clamp.default: _clamp,
    aten.clamp_min.default: _clamp,
    aten.adaptive_avg_pool2d.default: _global_average,
    aten.mean.dim: _mean,
    aten.silu.default: _silu,
    aten.hardsigmoid.default: _hardsigmoid,
    aten.conv2d.padding: _same_padding,
    aten.pad.default: _constant_pad,
}
