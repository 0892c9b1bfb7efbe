"""Batch norm folded into the convolution or linear layer before it: exact to float rounding.

At inference, batch norm is y = (x - mean) * gamma / sqrt(var + eps) + beta, one scale and one offset per channel
(Ioffe and Szegedy 2015, section 3.1). Both fit into the weights and bias of the layer that feeds it. A batch norm
that no such layer feeds becomes a depthwise 1x1 convolution on images, and a multiplication and an addition elsewhere.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, fx

from compress.errors import ModelError
from compress.quantize.capture import add_constant, arguments, constant_of, drop_unused, module_path
from compress.quantize.expectations import STATISTICS

aten = torch.ops.aten
TRANSPOSED = (aten.conv_transpose1d.default, aten.conv_transpose2d.input)
FOLDABLE = (
    *(aten.conv1d.default, aten.conv2d.default, aten.conv3d.default, aten.linear.default),
    *(aten.conv1d.padding, aten.conv2d.padding, aten.conv3d.padding, *TRANSPOSED),
)
_BATCH_NORM = aten._native_batch_norm_legit_no_training.default


def fold_batch_norm(graph: fx.GraphModule) -> fx.GraphModule:
    """Rewrite `graph` in place so that no batch norm is left; return it.

    Raises:
        ModelError: a batch norm keeps no running statistics, or folding overflows.
    """
    for node in list(graph.graph.nodes):
        if node.target in (aten._native_batch_norm_legit.no_stats, aten.batch_norm.default):
            raise ModelError(
                f"{module_path(node)} normalises with the statistics of the batch; expected running statistics; "
                "build it with track_running_stats=True"
            )
        if node.target is _BATCH_NORM:
            _fold_one(graph, node)
    return drop_unused(graph)


def _fold_one(graph: fx.GraphModule, norm: fx.Node) -> None:
    source = cast(fx.Node, norm.args[0])
    factor, offset = _scale_and_offset(graph, norm)
    (normed,) = [user for user in norm.users if user.target is operator.getitem and user.args[1] == 0]
    weight = constant_of(graph, source.args[1]) if source.target in FOLDABLE else None
    with graph.graph.inserting_before(norm):
        if weight is not None and set(source.users) == {norm}:
            replacement, origin = _into_layer(graph, source, weight, factor, offset), source
        elif source.meta["val"].dim() == 4:
            replacement, origin = _as_depthwise(graph, source, factor, offset), norm
        else:
            replacement, origin = _as_multiply_add(graph, norm, source, factor, offset), norm
    replacement.meta = {**origin.meta, "val": normed.meta["val"], STATISTICS: _output_statistics(graph, norm)}
    normed.replace_all_uses_with(replacement)
    graph.graph.erase_node(normed)


def _scale_and_offset(graph: fx.GraphModule, norm: fx.Node) -> tuple[Tensor, Tensor]:
    """Per-channel float64 factor and offset such that y = factor * x + offset."""
    gamma, beta, mean, variance = (constant_of(graph, argument) for argument in norm.args[1:5])
    eps = float(cast(float, norm.args[6]))
    if mean is None or variance is None:
        raise ModelError(f"{module_path(norm)} computes its statistics; expected constants; freeze them as buffers")
    factor = (variance.double() + eps).rsqrt()
    if gamma is not None:
        factor = factor * gamma.double()
    offset = -mean.double() * factor
    if beta is not None:
        offset = offset + beta.double()
    if not bool(torch.isfinite(factor).all() and torch.isfinite(offset).all()):
        raise ModelError(
            f"{module_path(norm)} has a negative variance; expected running_var >= 0; train the model again"
        )
    return factor, offset


def _output_statistics(graph: fx.GraphModule, norm: fx.Node) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation per channel of what the norm gives out, if its statistics hold."""
    gamma, beta, mean = (constant_of(graph, argument) for argument in norm.args[1:4])
    zeros = torch.zeros_like(cast(Tensor, mean), dtype=torch.float64)
    return (zeros if beta is None else beta.double(), zeros + 1 if gamma is None else gamma.double().abs())


def _into_layer(graph: fx.GraphModule, layer: fx.Node, weight: Tensor, factor: Tensor, offset: Tensor) -> fx.Node:
    bias = constant_of(graph, layer.args[2]) if len(layer.args) > 2 else None
    per_channel = factor.reshape(-1, *[1] * (weight.dim() - 1))
    if layer.target in TRANSPOSED:  # weight (in, out / groups, ...): the filters of a group meet the group's inputs
        groups = arguments(layer, 0, 0, None, 0, 0, 0, 1)[6]
        rows = factor.reshape(groups, 1, -1).expand(-1, len(weight) // groups, -1)
        per_channel = rows.reshape(*weight.shape[:2], *[1] * (weight.dim() - 2))
    name = str(cast(fx.Node, layer.args[1]).target)
    new_bias = offset if bias is None else bias.double() * factor + offset
    folded = (
        add_constant(graph, f"{name}_folded", (weight.double() * per_channel).float()),
        add_constant(graph, f"{name}_folded_bias", new_bias.float()),
    )
    return graph.graph.call_function(cast(Callable[..., Any], layer.target), (layer.args[0], *folded, *layer.args[3:]))


def _as_depthwise(graph: fx.GraphModule, source: fx.Node, factor: Tensor, offset: Tensor) -> fx.Node:
    weight = add_constant(graph, "norm_weight", factor.float().reshape(-1, 1, 1, 1))
    bias = add_constant(graph, "norm_bias", offset.float())
    geometry = ([1, 1], [0, 0], [1, 1], factor.numel())  # stride, padding, dilation, groups
    return graph.graph.call_function(aten.conv2d.default, (source, weight, bias, *geometry))


def _as_multiply_add(graph: fx.GraphModule, norm: fx.Node, source: fx.Node, factor: Tensor, offset: Tensor) -> fx.Node:
    trailing = [1] * (source.meta["val"].dim() - 2)
    scale = add_constant(graph, "norm_scale", factor.float().reshape(-1, *trailing))
    shift = add_constant(graph, "norm_offset", offset.float().reshape(-1, *trailing))
    product = graph.graph.call_function(aten.mul.Tensor, (source, scale))
    product.meta = {**norm.meta, "val": source.meta["val"]}
    return graph.graph.call_function(aten.add.Tensor, (product, shift))
