"""Writes a plan and its numbers into the graph as `torch.ops.quantized_decomposed` nodes.

That operator set is the language which export understands: scales are Python numbers, int8 weights and int32 biases are
buffers followed by a dequantisation. Run in torch, the graph simulates what the integer runtimes compute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
import torch.ao.quantization.fx._decomposed  # registers torch.ops.quantized_decomposed
from torch import Tensor, fx

from compress.quantize import parameters
from compress.quantize.capture import add_constant, constant_of, drop_unused
from compress.quantize.parameters import QParams
from compress.quantize.placement import Layer, Plan
from compress.types import Json

qd = torch.ops.quantized_decomposed
_INT8 = (parameters.ACTIVATION_MIN, parameters.ACTIVATION_MAX, torch.int8)
_WEIGHT = (-parameters.WEIGHT_MAX, parameters.WEIGHT_MAX, torch.int8)
_BIAS = (-(2**31), 2**31 - 1, torch.int32)


def insert(graph: fx.GraphModule, plan: Plan, qparams: Sequence[QParams]) -> dict[str, Json]:
    """Rewrite `graph` in place.

    Args:
        graph: the float graph that `plan` was made for.
        plan: what `place` decided.
        qparams: one per group of the plan.

    Returns:
        Table of every quantised value and constant: name -> {"scale": ..., "zero_point": ...}; per_channel scales are
        lists.
    """
    of_value = {value: qparams[number] for number, group in enumerate(plan.groups) for value in group}
    table: dict[str, Json] = {v.name: {"scale": q.scale, "zero_point": q.zero_point} for v, q in of_value.items()}
    for layer in plan.layers:
        table |= _quantize_layer(graph, layer, of_value)
    for user, position in plan.constants:
        table |= _quantize_operand(graph, user, position)
    for value, q in of_value.items():
        _quantize_value(graph, value, q)
    drop_unused(graph)
    return table


def _quantize_layer(graph: fx.GraphModule, layer: Layer, of_value: Mapping[fx.Node, QParams]) -> dict[str, Json]:
    node, source, output = layer.node, of_value[layer.source], of_value[layer.output]
    weight = cast(Tensor, constant_of(graph, node.args[1]))
    bias = constant_of(graph, node.args[2]) if len(node.args) > 2 else None
    scales = parameters.weight_scales(weight, bias, source, output)
    stored = parameters.quantize_weight(weight, scales)
    with graph.graph.inserting_before(node):
        node.update_arg(1, _constant(graph, str(cast(fx.Node, node.args[1]).target), stored, scales, _WEIGHT))
        table: dict[str, Json] = {f"{node.name}.weight": {"scale": scales.tolist(), "zero_point": 0}}
        if bias is not None:
            accumulator = parameters.bias_scales(source, scales)
            stored = parameters.quantize_bias(bias, accumulator)
            node.update_arg(2, _constant(graph, str(cast(fx.Node, node.args[2]).target), stored, accumulator, _BIAS))
            table[f"{node.name}.bias"] = {"scale": accumulator.tolist(), "zero_point": 0}
    return table


def _constant(
    graph: fx.GraphModule, name: str, stored: Tensor, scales: Tensor, storage: tuple[int, int, torch.dtype]
) -> fx.Node:
    """A per_channel constant along dimension 0, at the insertion point."""
    zeros = torch.zeros(len(scales), dtype=torch.int64)
    arguments = [
        add_constant(graph, f"{name}_{part}", t) for part, t in (("q", stored), ("scale", scales), ("zero", zeros))
    ]
    return graph.graph.call_function(qd.dequantize_per_channel.default, (*arguments, 0, *storage))


def _quantize_operand(graph: fx.GraphModule, user: fx.Node, position: int) -> dict[str, Json]:
    """A constant operand of an addition or multiplication: per_tensor affine, like the activation it meets."""
    source = cast(fx.Node, user.args[position])
    value = cast(Tensor, constant_of(graph, source))
    q = parameters.activation_qparams(float(value.min()), float(value.max()))
    stored = (value.double() / q.scale).round().add(q.zero_point).clamp(*_INT8[:2]).to(torch.int8)
    with graph.graph.inserting_before(user):
        constant = add_constant(graph, f"{source.target}_q", stored)
        real = graph.graph.call_function(qd.dequantize_per_tensor.default, (constant, q.scale, q.zero_point, *_INT8))
    user.update_arg(position, real)
    return {f"{user.name}.{position}": {"scale": q.scale, "zero_point": q.zero_point}}


def _quantize_value(graph: fx.GraphModule, value: fx.Node, q: QParams) -> None:
    users = list(value.users)
    with graph.graph.inserting_after(value):
        stored = graph.graph.call_function(qd.quantize_per_tensor.default, (value, q.scale, q.zero_point, *_INT8))
    with graph.graph.inserting_after(stored):
        real = graph.graph.call_function(qd.dequantize_per_tensor.default, (stored, q.scale, q.zero_point, *_INT8))
    for user in users:
        user.replace_input_with(value, real)
