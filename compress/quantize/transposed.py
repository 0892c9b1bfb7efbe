"""A transposed convolution as a convolution whose outputs are woven together.

Shi et al. 2016, "Is the deconvolution layer the same as a convolutional layer?": a transposed convolution by stride s
equals a convolution with s * s times the filters, one set per position inside an s x s cell of the output. ONNX Runtime
has no integer kernel for the former, and LiteRT's converter refuses it with an output padding. Where s does not divide
the kernel, its taps are padded with zeros, which costs products by zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, fx

from compress.quantize.capture import add_constant, arguments, call, constant_of

aten = torch.ops.aten


@dataclass(frozen=True, kw_only=True)
class Cells:
    """The convolution that stands for a transposed one along one dimension.

    taps: of the convolution. before, after: its padding. count: cells, its output's size. first: the position in the
    first cell where the output starts.
    """

    taps: int
    before: int
    after: int
    count: int
    first: int


def cells(size: int, kernel: int, stride: int, padding: int, wanted: int) -> Cells:
    """Output y reads input i through tap u where y = i * stride - padding + u; y + padding = cell * stride + position.

    Args:
        size: of the input.
        kernel: its size, dilated.
        stride: of the transposed convolution.
        padding: of the transposed convolution.
        wanted: size of its output.
    """
    taps, (skipped, first) = -(-kernel // stride), divmod(padding, stride)
    count, before = -(-(first + wanted) // stride), taps - 1 - skipped
    return Cells(taps=taps, before=before, after=count - size - before + taps - 1, count=count, first=first)


def sub_pixel_weight(weight: Tensor, stride: Sequence[int], groups: int) -> Tensor:
    """(in, out / groups, height, width) of a transposed convolution -> (out * cell, in / groups, taps, taps).

    Filters are ordered as pixel_shuffle reads channels: output channel, then row, then column inside the cell.
    """
    inputs, filters, *kernel = weight.shape
    taps = [-(-size // step) for size, step in zip(kernel, stride, strict=True)]
    wide = weight.new_zeros(inputs, filters, taps[0] * stride[0], taps[1] * stride[1])
    wide[:, :, : kernel[0], : kernel[1]] = weight
    split = wide.reshape(groups, inputs // groups, filters, taps[0], stride[0], taps[1], stride[1]).flip(3, 5)
    ordered = split.permute(0, 2, 4, 6, 1, 3, 5)
    return ordered.reshape(groups * filters * stride[0] * stride[1], inputs // groups, *taps)


def as_convolution(
    graph: fx.GraphModule, node: fx.Node, image: fx.Node, geometry: Sequence[Sequence[int]], wanted: Sequence[int]
) -> tuple[fx.Node, Sequence[Cells]] | None:
    """The conv2d node in front of `node`, and its cells; None where padding exceeds the kernel.

    Args:
        graph: its buffers get the new weight.
        node: a conv_transpose2d with a constant weight.
        image: (n, in, height, width), what `node` reads.
        geometry: stride, padding and dilation, each (vertical, horizontal).
        wanted: height and width of the output.
    """
    stride, padding, dilation = geometry
    weight = dilate(cast(Tensor, constant_of(graph, node.args[1])), dilation)
    sizes = image.meta["val"].shape[2:]
    both = [cells(*numbers) for numbers in zip(sizes, weight.shape[2:], stride, padding, wanted, strict=True)]
    before, after = [c.before for c in both], [c.after for c in both]
    if min(*before, *after) < 0:
        return None
    groups = arguments(node, 0, 0, None, 0, 0, 0, 1)[6]
    stored, bias = sub_pixel_weight(weight, stride, groups), _bias(graph, node, stride[0] * stride[1])
    if before != after:
        edges = [before[1], after[1], before[0], after[0]]
        padded = torch.nn.functional.pad(image.meta["val"], edges).shape
        image, before = call(graph, image, aten.constant_pad_nd.default, image, edges, 0.0, shape=padded), [0, 0]
    filters = add_constant(graph, f"{cast(fx.Node, node.args[1]).target}_cells", stored)
    shape = (node.meta["val"].shape[0], len(stored), *(c.count for c in both))
    options: tuple[Any, ...] = ([1, 1], before, [1, 1], groups)
    return call(graph, node, aten.conv2d.default, image, filters, bias, *options, shape=shape), both


def dilate(weight: Tensor, dilation: Sequence[int]) -> Tensor:
    """The kernel with zeros between its taps."""
    sizes = [step * (size - 1) + 1 for step, size in zip(dilation, weight.shape[2:], strict=True)]
    spread = weight.new_zeros(*weight.shape[:2], *sizes)
    spread[:, :, :: dilation[0], :: dilation[1]] = weight
    return spread


def weave(
    graph: fx.GraphModule, core: fx.Node, both: Sequence[Cells], stride: Sequence[int], wanted: Sequence[int]
) -> fx.Node:
    """Channels into pixels, then the cut to the wanted height and width."""
    batch, channels, height, width = core.meta["val"].shape
    filters = channels // (stride[0] * stride[1])
    shape: Sequence[Any] = (batch, filters, height * stride[0], width * stride[1])
    if stride[0] == stride[1] > 1:
        core = call(graph, core, aten.pixel_shuffle.default, core, stride[0], shape=shape)
    elif stride[1] > 1 == stride[0] == height:
        core = _weave_row(graph, core, stride[1], shape)
    for dim, (cell, size) in enumerate(zip(both, wanted, strict=True), start=2):
        if cell.first or shape[dim] != size:
            shape = [*shape[:dim], size, *shape[dim + 1 :]]
            core = call(graph, core, aten.slice.Tensor, core, dim, cell.first, cell.first + size, shape=shape)
    return core


def _weave_row(graph: fx.GraphModule, core: fx.Node, step: int, shape: Sequence[Any]) -> fx.Node:
    batch, filters, _, width = shape
    split = (batch, filters, step, width // step)
    turned = (batch, filters, width // step, step)
    core = call(graph, core, aten.reshape.default, core, [-1, *split[1:]], shape=split)
    core = call(graph, core, aten.permute.default, core, [0, 1, 3, 2], shape=turned)
    return call(graph, core, aten.reshape.default, core, [-1, filters, 1, width], shape=shape)


def _bias(graph: fx.GraphModule, node: fx.Node, copies: int) -> fx.Node | None:
    source = arguments(node, 0, 0, None)[2]
    stored = constant_of(graph, source)
    return None if stored is None else add_constant(graph, f"{source.target}_cells", stored.repeat_interleave(copies))
