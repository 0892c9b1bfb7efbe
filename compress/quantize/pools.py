"""Pools and paddings in the one form that both integer runtimes compute alike.

TFLite divides an average by the number of pixels inside the image, torch counts the padding unless told otherwise, and
both have more options than the other. A pool over an image that is padded beforehand has none of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, fx
from torch.nn import functional

from compress.quantize.capture import add_constant, arguments, call

aten = torch.ops.aten


def average_pool(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """avg_pool2d whose windows reach over the border: zeros as an operator of their own, then the border's divisors."""
    if surrounds_pixels(node):
        return None
    image, *options = arguments(node, 0, 0, [], 0, False, True, None)
    kernel, stride, padding = (_pair(option) for option in (options[0], options[1] or options[0], options[2]))
    sizes = image.meta["val"].shape[2:]
    numbers = zip(node.meta["val"].shape[2:], stride, kernel, padding, sizes, strict=True)
    reach = [(windows - 1) * s + k - p - size for windows, s, k, p, size in numbers]
    if not any(padding) and max(reach) <= 0 and options[5] is None:
        return None if not options[3] else call(graph, node, aten.avg_pool2d.default, image, kernel, stride)
    edges = [padding[1], max(0, reach[1]), padding[0], max(0, reach[0])]
    shape = functional.pad(image.meta["val"], edges).shape
    padded = call(graph, node, aten.constant_pad_nd.default, image, edges, 0.0, shape=shape) if any(edges) else image
    ones = torch.ones(1, 1, *sizes)
    plain = functional.avg_pool2d(functional.pad(ones, edges), kernel, stride)
    factor = aten.avg_pool2d.default(ones, *options) / plain
    pooled = call(graph, node, aten.avg_pool2d.default, padded, kernel, stride)
    if bool((factor == 1).all()):
        return pooled
    return call(graph, node, aten.mul.Tensor, pooled, add_constant(graph, f"{node.name}_divisors", factor))


def surrounds_pixels(node: fx.Node) -> bool:
    """Whether an avg_pool2d has a window around every pixel and counts those inside the image: TFLite's own padding."""
    kernel, stride, padding, ceil, counts_padding, divisor = arguments(node, 0, 0, [], 0, False, True, None)[1:]
    centred = [2 * edge + 1 for edge in _pair(padding)] == _pair(kernel) and _pair(stride or kernel) == [1, 1]
    return centred and not ceil and not counts_padding and divisor is None


def adaptive_average(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """adaptive_avg_pool{1,2}d: a mean for an output of one pixel, a plain pool where the windows are equal."""
    image, wanted = arguments(node)
    rank = node.meta["val"].dim()
    if all(size == 1 for size in wanted):
        return call(graph, node, aten.mean.dim, image, list(range(2, rank)), True)
    kernel = _equal_windows(image, wanted) if rank == 4 else None
    return None if kernel is None else call(graph, node, aten.avg_pool2d.default, image, kernel, kernel)


def adaptive_maximum(graph: fx.GraphModule, pool: fx.Node, part: fx.Node) -> fx.Node | None:
    """The values of adaptive_max_pool2d as a plain pool, where the windows are equal."""
    image, wanted = arguments(pool)
    kernel = _equal_windows(image, wanted)
    return None if kernel is None else call(graph, part, aten.max_pool2d.default, image, kernel, kernel)


def pool_row(graph: fx.GraphModule, node: fx.Node) -> fx.Node:
    """max_pool1d or avg_pool1d over images one pixel high."""
    average = node.target is aten.avg_pool1d.default
    signal, kernel, stride, padding, *rest = arguments(
        node, 0, 0, [], [0], *((False, True) if average else ([1], False))
    )
    image = call(graph, node, aten.unsqueeze.default, signal, 2, shape=signal.meta["val"].unsqueeze(2).shape)
    row: list[Any] = [[1, *kernel], [1, *(stride or kernel)], [0, *padding]]
    row += rest if average else [[1, *rest[0]], rest[1]]
    target = aten.avg_pool2d.default if average else aten.max_pool2d.default
    pooled = call(graph, node, target, image, *row, shape=node.meta["val"].unsqueeze(2).shape)
    pooled = (average_pool(graph, pooled) if average else None) or pooled
    return call(graph, node, aten.squeeze.dim, pooled, 2)


def same_padding(graph: fx.GraphModule, node: fx.Node) -> fx.Node:
    """A convolution with padding given as a word, written with numbers; an uneven total becomes a pad of its own."""
    rank = node.meta["val"].dim() - 2
    ones = [1] * rank
    image, weight, bias, stride, word, dilation, groups = arguments(node, 0, 0, None, ones, "valid", ones, 1)
    total = [step * (size - 1) for step, size in zip(dilation, weight.meta["val"].shape[2:], strict=True)]
    if word == "valid":
        total = [0] * rank
    if any(size % 2 for size in total):  # torch puts the odd row or column at the end
        edges = [edge for size in reversed(total) for edge in (size // 2, size - size // 2)]
        shape = functional.pad(image.meta["val"], edges).shape
        image = call(graph, node, aten.constant_pad_nd.default, image, edges, 0.0, shape=shape)
        total = [0] * rank
    target = {1: aten.conv1d.default, 2: aten.conv2d.default, 3: aten.conv3d.default}[rank]
    padding = [size // 2 for size in total]
    return call(graph, node, target, image, weight, bias, stride, padding, dilation, groups)


def constant_pad(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """The general pad operator with a constant, as the operator that knows nothing else."""
    image, edges, mode, value = arguments(node, 0, 0, "constant", None)
    return call(graph, node, aten.constant_pad_nd.default, image, edges, value or 0.0) if mode == "constant" else None


def nearest(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """Nearest upsampling by a fraction, as the rows and columns that it takes.

    LiteRT's converter computes other ones than torch then: half of all pixels were wrong from 8 x 8 to 12 x 12.
    """
    image, *options = arguments(node)
    shape, resize = list(image.meta["val"].shape), cast(Callable[..., Tensor], node.target)
    rows, columns = (torch.arange(size, dtype=torch.float32) for size in shape[2:])
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))[None]
    taken = resize(grid, *options)[0].long()  # which row and which column every pixel comes from
    for dim, places in ((2, taken[0, :, 0]), (3, taken[1, 0])):
        if torch.equal(places, torch.arange(shape[dim]).repeat_interleave(len(places) // shape[dim])):
            continue
        shape[dim] = len(places)
        index = add_constant(graph, f"{node.name}_places", places)
        image = call(graph, node, aten.index_select.default, image, dim, index, shape=shape)
    missing = [goal // size for goal, size in zip(node.meta["val"].shape[2:], shape[2:], strict=True)]
    return None if image is node.args[0] else _by_whole_numbers(graph, node, image, missing)


def _by_whole_numbers(graph: fx.GraphModule, node: fx.Node, image: fx.Node, factors: list[int]) -> fx.Node:
    if factors == [1, 1]:
        return image
    size = [int(goal) for goal in node.meta["val"].shape[2:]]
    return call(graph, node, aten.upsample_nearest2d.vec, image, size, None)


def _pair(option: Any) -> list[int]:
    return [option, option] if isinstance(option, int) else [option[0], option[-1]]


def _equal_windows(image: Any, wanted: Any) -> list[int] | None:
    sizes = image.meta["val"].shape[2:]
    if any(size % goal for size, goal in zip(sizes, wanted, strict=True)):
        return None
    return [size // goal for size, goal in zip(sizes, wanted, strict=True)]
