"""Operators that stand for several, taken apart into those that the integer runtimes have.

Exact, or to float rounding. What is left whole here stays in float and is named by `place`.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import fx

from compress.quantize.capture import add_constant, arguments, call, constant_of
from compress.quantize.pools import adaptive_maximum

aten = torch.ops.aten
_SPLITS = (aten.split.Tensor, aten.split_with_sizes.default, aten.chunk.default)


def silu(graph: fx.GraphModule, node: fx.Node) -> fx.Node:
    """x * sigmoid(x) (Elfwing et al. 2017)."""
    gate = call(graph, node, aten.sigmoid.default, node.args[0])
    return call(graph, node, aten.mul.Tensor, node.args[0], gate)


def hardsigmoid(graph: fx.GraphModule, node: fx.Node) -> fx.Node:
    """relu6(x + 3) / 6 (Howard et al. 2019, section 5.2); the integer runtimes have no kernel for it."""
    three = add_constant(graph, "three", torch.tensor([3.0]))
    sixth = add_constant(graph, "sixth", torch.tensor([1.0 / 6.0]))
    shifted = call(graph, node, aten.add.Tensor, node.args[0], three)
    clipped = call(graph, node, aten.hardtanh.default, shifted, 0.0, 6.0)
    return call(graph, node, aten.mul.Tensor, clipped, sixth)


def gated_linear_unit(graph: fx.GraphModule, node: fx.Node) -> fx.Node:
    """glu: the first half of the channels times the sigmoid of the second (Dauphin et al. 2017)."""
    image, dim = arguments(node, 0, -1)
    half = node.meta["val"].shape[dim]
    value = call(graph, node, aten.slice.Tensor, image, dim, 0, half)
    gate = call(graph, node, aten.sigmoid.default, call(graph, node, aten.slice.Tensor, image, dim, half, 2 * half))
    return call(graph, node, aten.mul.Tensor, value, gate)


def prelu(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """slope * x + (1 - slope) * relu(x) (He et al. 2015); one slope for all channels makes it a leaky ReLU.

    LiteRT's converter knows no PReLU of integers: it compares and selects in float.
    """
    image, slope = node.args[0], constant_of(graph, node.args[1])
    if slope is None:
        return None
    if slope.numel() == 1:
        return call(graph, node, aten.leaky_relu.default, image, float(slope))
    slope = slope.reshape(1, -1, *[1] * (node.meta["val"].dim() - 2))
    scaled = call(graph, node, aten.mul.Tensor, image, add_constant(graph, "slope", slope))
    positive = call(graph, node, aten.relu.default, image)
    rest = call(graph, node, aten.mul.Tensor, positive, add_constant(graph, "slope_rest", 1 - slope))
    return call(graph, node, aten.add.Tensor, scaled, rest)


def attention(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """softmax(q kᵀ / sqrt(width)) v (Vaswani et al. 2017, section 3.2.1), without a mask."""
    query, key, value, mask, _, causal = arguments(node, 0, 0, 0, None, 0.0, False)
    if mask is not None or causal or set(node.kwargs) - {"scale"}:
        return None
    width, rank = query.meta["val"].shape[-1], query.meta["val"].dim()
    scale = cast(float | None, node.kwargs.get("scale")) or 1 / math.sqrt(width)
    factor = add_constant(graph, "attention_scale", torch.tensor(scale).reshape([1] * rank))
    turned = key.meta["val"].transpose(-2, -1).shape
    shape = (*query.meta["val"].shape[:-1], turned[-1])
    scores = call(graph, node, aten.transpose.int, key, -2, -1, shape=turned)
    scores = call(graph, node, aten.matmul.default, query, scores, shape=shape)
    scores = call(graph, node, aten.mul.Tensor, scores, factor, shape=shape)
    scores = call(graph, node, aten.softmax.int, scores, -1, shape=shape)
    return call(graph, node, aten.matmul.default, scores, value)


def softmax_last(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """softmax over another dimension than the last, between two transpositions; TFLite's kernel knows the last only."""
    image, dim = node.args[0], cast(int, node.args[1])
    if dim in (-1, node.meta["val"].dim() - 1):
        return None
    shape = node.meta["val"].transpose(dim, -1).shape
    turned = call(graph, node, aten.transpose.int, image, dim, -1, shape=shape)
    shares = call(graph, node, aten.softmax.int, turned, -1, shape=shape)
    return call(graph, node, aten.transpose.int, shares, dim, -1)


def matrix_product(graph: fx.GraphModule, node: fx.Node) -> fx.Node:
    """A product with a constant matrix as a linear layer, whose weight is quantised per_channel; else as matmul."""
    matrix = constant_of(graph, node.args[1])
    if matrix is None or matrix.dim() != 2:
        return call(graph, node, aten.matmul.default, *node.args)
    weight = add_constant(graph, f"{cast(fx.Node, node.args[1]).target}_turned", matrix.t())
    return call(graph, node, aten.linear.default, node.args[0], weight, None)


def total(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """sum as mean times count: the integer kernels of the mean keep its range in reach."""
    image, dims, keeps = arguments(node, 0, None, False)[:3]
    sizes = [image.meta["val"].shape[dim] for dim in dims or ()]
    if not sizes or not all(isinstance(size, int) for size in sizes):
        return None
    mean = call(graph, node, aten.mean.dim, image, dims, keeps)
    count = torch.full([1] * node.meta["val"].dim(), float(math.prod(sizes)))
    return call(graph, node, aten.mul.Tensor, mean, add_constant(graph, "count", count))


def square(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """x ** 2 as x * x."""
    image, power = node.args
    return call(graph, node, aten.mul.Tensor, image, image) if power == 2 else None


def negative(graph: fx.GraphModule, node: fx.Node) -> fx.Node:
    """-x as a product."""
    minus = torch.full([1] * node.meta["val"].dim(), -1.0)
    return call(graph, node, aten.mul.Tensor, node.args[0], add_constant(graph, "minus_one", minus))


def stack(graph: fx.GraphModule, node: fx.Node) -> fx.Node:
    """Stacking as a concatenation along a new dimension."""
    images, dim = arguments(node, (), 0)
    shape = list(node.meta["val"].shape)
    shape[dim] = 1
    dim = dim % len(shape)
    raised = [call(graph, node, aten.unsqueeze.default, image, dim, shape=shape) for image in images]
    return call(graph, node, aten.cat.default, raised, dim)


def repeat(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """Repetition as concatenations; LiteRT's converter repeats images along the wrong dimensions, in silence."""
    image, counts = cast(tuple[fx.Node, list[int]], node.args)
    shape = list(image.meta["val"].shape)
    if counts[0] != 1 or len(counts) != len(shape):
        return None
    for dim, count in enumerate(counts[1:], start=1):
        if count > 1:
            shape[dim] *= count
            image = call(graph, node, aten.cat.default, [image] * count, dim, shape=shape)
    return image


def choose_places(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """x[:, places] with one list of places, as index_select."""
    image, places = cast(tuple[fx.Node, list[fx.Node | None]], node.args)
    dims = [dim for dim, place in enumerate(places) if place is not None]
    index = constant_of(graph, places[dims[0]])
    if len(dims) != 1 or index is None or index.dim() != 1 or index.dtype != torch.int64:
        return None
    return call(graph, node, aten.index_select.default, image, dims[0], places[dims[0]])


def shuffle_channels(graph: fx.GraphModule, node: fx.Node) -> fx.Node:
    """Groups and the channels inside them change places (Zhang et al. 2017, ShuffleNet, section 3.1).

    TFLite gets three transpositions for it, to channel-first and back. One of the last two dimensions of
    (height, width, groups, channels) does the same, and in int8 a unit of ShuffleNet V2 then took 25 % more
    instructions (28 x 28 x 116, Cortex-A76 under LiteRT): whole planes move faster than single bytes change places.
    """
    image, groups = cast(tuple[fx.Node, int], node.args)
    batch, channels, *sizes = node.meta["val"].shape
    apart, swapped = [groups, channels // groups, *sizes], [channels // groups, groups, *sizes]
    split = call(graph, node, aten.reshape.default, image, [-1, *apart], shape=(batch, *apart))
    turned = call(graph, node, aten.transpose.int, split, 1, 2, shape=(batch, *swapped))
    return call(graph, node, aten.reshape.default, turned, [-1, channels, *sizes])


def gather_pixels(graph: fx.GraphModule, node: fx.Node) -> fx.Node:
    """pixel_unshuffle: s x s pixels become channels; ONNX has it with another order of channels only."""
    image, step = cast(tuple[fx.Node, int], node.args)
    batch, channels, height, width = image.meta["val"].shape
    apart = [channels, height // step, step, width // step, step]
    gathered = [channels, step, step, height // step, width // step]
    split = call(graph, node, aten.reshape.default, image, [-1, *apart], shape=(batch, *apart))
    turned = call(graph, node, aten.permute.default, split, [0, 1, 3, 5, 2, 4], shape=(batch, *gathered))
    return call(graph, node, aten.reshape.default, turned, [-1, *node.meta["val"].shape[1:]])


def part(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """One output of an operator that has several, as an operator with one: it has one scale."""
    source, position = cast(tuple[fx.Node, int], node.args)
    if source.target in _SPLITS:
        image, _, dim = arguments(source, 0, 0, 0)
        sizes = [part.shape[dim] for part in source.meta["val"]]
        start = sum(sizes[:position])
        return call(graph, node, aten.slice.Tensor, image, dim, start, start + sizes[position])
    if source.target is aten.unbind.int:
        image, dim = arguments(source, 0, 0)
        return call(graph, node, aten.select.int, image, dim, position)
    if source.target is aten.max.dim and position == 0:
        image, dim, keeps = arguments(source, 0, 0, False)
        return call(graph, node, aten.amax.default, image, [dim], keeps)
    if source.target is aten.adaptive_max_pool2d.default and position == 0:
        return adaptive_maximum(graph, source, node)
    return None
