"""Every convolution as a conv2d, the one that both integer runtimes have a per_channel kernel for.

A conv1d is a conv2d over images one pixel high; for transposed convolutions see `transposed`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import fx

from compress.quantize.capture import add_constant, arguments, call, constant_of, drop_unused
from compress.quantize.rules import fuses
from compress.quantize.transposed import as_convolution, weave

aten = torch.ops.aten
Finish = Callable[[fx.Node], fx.Node]


def lower_convolutions(graph: fx.GraphModule) -> fx.GraphModule:
    """Rewrite `graph` in place, batch norm already folded; return it. What is no conv2d after this stays in float."""
    for node in list(graph.graph.nodes):
        lower = _LOWER.get(node.target)
        if lower is None or constant_of(graph, node.args[1]) is None:
            continue
        with graph.graph.inserting_before(node):
            lowered = lower(graph, node)
            if lowered is not None:
                _replace(graph, node, *lowered)
    for node in list(graph.graph.nodes):
        if node.target is aten.unsqueeze.default and _undoes(node, cast(fx.Node, node.args[0])):
            node.replace_all_uses_with(cast(fx.Node, cast(fx.Node, node.args[0]).args[0]))
    return drop_unused(graph)


def _replace(graph: fx.GraphModule, node: fx.Node, core: fx.Node, finish: Finish) -> None:
    """Put `core` and what finishes it in the node's place; a clip that reads it goes in between, to be fused."""
    users, last = list(node.users), node
    if len(users) == 1 and fuses(users[0]):
        last = users[0]
        target = cast(Callable[..., Any], last.target)
        core = call(graph, last, target, core, *last.args[1:], shape=core.meta["val"].shape)
    last.replace_all_uses_with(finish(core))
    for old in dict.fromkeys((last, node)):
        graph.graph.erase_node(old)


def _undoes(unsqueeze: fx.Node, squeeze: fx.Node) -> bool:
    return squeeze.target is aten.squeeze.dim and (squeeze.args[1], unsqueeze.args[1]) == (2, 2)


def raise_signal(graph: fx.GraphModule, signal: fx.Node) -> fx.Node:
    """(n, channels, length) as an image (n, channels, 1, length)."""
    return call(graph, signal, aten.unsqueeze.default, signal, 2, shape=signal.meta["val"].unsqueeze(2).shape)


def _row(graph: fx.GraphModule, node: fx.Node) -> tuple[fx.Node, Finish]:
    signal, weight, bias, stride, padding, dilation, groups = arguments(node, 0, 0, None, [1], [0], [1], 1)
    flat = add_constant(graph, f"{weight.target}_image", cast(torch.Tensor, constant_of(graph, weight)).unsqueeze(2))
    geometry = ([1, *stride], [0, *padding], [1, *dilation], groups)
    shape = node.meta["val"].unsqueeze(2).shape
    image = raise_signal(graph, signal)
    core = call(graph, node, aten.conv2d.default, image, flat, bias, *geometry, shape=shape)
    return core, lambda value: call(graph, node, aten.squeeze.dim, value, 2)


def _transposed(graph: fx.GraphModule, node: fx.Node) -> tuple[fx.Node, Finish] | None:
    image, _, _, stride, padding, _, _, dilation = arguments(node, 0, 0, None, [1, 1], [0, 0], [0, 0], 1, [1, 1])
    wanted = node.meta["val"].shape[2:]
    if stride[0] != stride[1] and image.meta["val"].shape[2] != 1:
        return None
    lowered = as_convolution(graph, node, image, (stride, padding, dilation), wanted)
    if lowered is None:
        return None
    core, cells = lowered
    return core, lambda value: weave(graph, value, cells, stride, wanted)


def _transposed_row(graph: fx.GraphModule, node: fx.Node) -> tuple[fx.Node, Finish] | None:
    signal, weight, bias, *one = arguments(node, 0, 0, None, [1], [0], [0], 1, [1])
    flat = add_constant(graph, f"{weight.target}_image", cast(torch.Tensor, constant_of(graph, weight)).unsqueeze(2))
    geometry = ([1, *one[0]], [0, *one[1]], [0, *one[2]], one[3], [1, *one[4]])
    image, shape = raise_signal(graph, signal), node.meta["val"].unsqueeze(2).shape
    raised = call(graph, node, aten.conv_transpose2d.input, image, flat, bias, *geometry, shape=shape)
    lowered = _transposed(graph, raised)
    if lowered is None:
        return None
    core, weave_cells = lowered
    return core, lambda value: call(graph, node, aten.squeeze.dim, weave_cells(value), 2)


_LOWER: dict[Any, Callable[[fx.GraphModule, fx.Node], tuple[fx.Node, Finish] | None]] = {
    aten.conv1d.default: _row,
    aten.conv_transpose1d.default: _transposed_row,
    aten.conv_transpose2d.input: _transposed,
}
