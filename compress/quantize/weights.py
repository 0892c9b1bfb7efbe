"""Linear and embedding layers whose weights are stored as integers, while values between layers stay in float.

Nothing is observed: a weight's scales follow from the weight, and the ranges of `DynamicInt8` from each input as it
comes. The graph says so with `torch.ops.quantized_decomposed` nodes, one spelling each:

- int8 weight: a buffer that passes dequantize_per_channel (along rows);
- int4 weight: an int8 buffer in [-8, 7] that passes dequantize_per_channel_group;
- dynamic input: choose_qparams_per_token_asymmetric, quantize_per_token, dequantize_per_token. They follow XNNPACK, so
  that torch simulates LiteRT to float rounding; where ONNX Runtime differs, see docs/adr/0007.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, cast

import torch
import torch.ao.quantization.fx._decomposed  # registers torch.ops.quantized_decomposed
from torch import Tensor, fx

from compress.errors import SchemeError
from compress.quantize import parameters
from compress.quantize.capture import add_constant, constant_of, drop_unused, module_path
from compress.quantize.schemes import DynamicInt8, WeightOnlyInt4, WeightScheme
from compress.types import Json

aten, qd = torch.ops.aten, torch.ops.quantized_decomposed
_CONVOLUTIONS = (aten.conv1d.default, aten.conv2d.default, aten.conv3d.default, aten.conv_transpose2d.input)
_PRODUCTS = (
    aten.matmul.default,
    aten.bmm.default,
    aten.mm.default,
    aten.scaled_dot_product_attention.default,
)
_WEIGHT_POSITION = {aten.linear.default: 1, aten.embedding.default: 0}
_INT8 = (-parameters.WEIGHT_MAX, parameters.WEIGHT_MAX, torch.int8)
_INT4 = (parameters.INT4_MIN, parameters.INT4_MAX, torch.int8)
_ACTIVATION = (parameters.ACTIVATION_MIN, parameters.ACTIVATION_MAX, torch.int8)


def store_weights(graph: fx.GraphModule, scheme: WeightScheme) -> tuple[dict[str, Json], tuple[tuple[str, str], ...]]:
    """Rewrite `graph` in place.

    Returns:
        Table of stored weights as `insert` returns it, `scale` a list per row, for int4 one per block;
        and (where, reason) of every layer with weights, for DynamicInt8 every matrix product too, that stays in float.

    Raises:
        SchemeError: nothing in the model can be stored so, or DynamicInt8 is asked for a model made of convolutions.
    """
    if isinstance(scheme, DynamicInt8):
        _refuse_convolutional(graph)
    _spell_products_as_layers(graph)
    table: dict[str, Json] = {}
    left: list[tuple[str, str]] = []
    stored: dict[str, fx.Node] = {}  # tied weights are stored once
    for node in list(graph.graph.nodes):
        reason = _refuse(graph, node, scheme)
        if reason is not None:
            left.append((module_path(node), reason))
        elif node.target in _WEIGHT_POSITION:
            source = cast(fx.Node, node.args[_WEIGHT_POSITION[node.target]])
            if str(source.target) not in stored:
                stored[str(source.target)] = _store(graph, source, node, scheme)
            real = stored[str(source.target)]
            node.update_arg(_WEIGHT_POSITION[node.target], real)
            scales = cast(Tensor, constant_of(graph, real.args[1]))
            table[f"{node.name}.weight"] = {"scale": scales.tolist(), "zero_point": 0}
            if isinstance(scheme, DynamicInt8) and node.target is aten.linear.default:
                node.update_arg(0, _dynamic(graph, cast(fx.Node, node.args[0]), node))
    if not table:
        raise SchemeError(
            f"{scheme.precision} finds no linear or embedding layer with constant weights of a fitting size; expected "
            "a transformer or a perceptron; use static_int8 for a convolutional model, or float16"
        )
    drop_unused(graph)
    return table, tuple(left)


def _refuse(graph: fx.GraphModule, node: fx.Node, scheme: WeightScheme) -> str | None:
    """Why a node with weights stays in float, None if it does not, or has none."""
    if node.target in _CONVOLUTIONS:
        return f"{scheme.precision} stores linear and embedding layers only; static_int8 does convolutions"
    if node.target in _PRODUCTS:
        if any(constant_of(graph, factor) is not None for factor in node.args):
            return "its constant factor is not one matrix on the right"
        dynamic = isinstance(scheme, DynamicInt8)
        return "both factors are computed at run time; the runtimes' dynamic kernels want a weight" if dynamic else None
    if node.target not in _WEIGHT_POSITION:
        return None
    weight = constant_of(graph, node.args[_WEIGHT_POSITION[node.target]])
    if weight is None:
        return "its weight is computed at run time"
    if isinstance(scheme, WeightOnlyInt4) and weight.shape[1] % scheme.block_size:
        return f"its rows of {weight.shape[1]} values are no whole number of blocks of {scheme.block_size}"
    return None


def _spell_products_as_layers(graph: fx.GraphModule) -> None:
    """x @ constant is a linear layer without bias."""
    for node in list(graph.graph.nodes):
        factor = constant_of(graph, node.args[1]) if node.target in (aten.matmul.default, aten.mm.default) else None
        if factor is None or factor.dim() != 2 or node.args[0].op == "get_attr":
            continue
        with graph.graph.inserting_before(node):
            weight = add_constant(graph, f"{node.name}_weight", factor.T)
            layer = graph.graph.call_function(aten.linear.default, (node.args[0], weight))
        layer.meta = dict(node.meta)
        node.replace_all_uses_with(layer)
        graph.graph.erase_node(node)


def _refuse_convolutional(graph: fx.GraphModule) -> None:
    """Both runtimes have such kernels, and they lose: MobileNetV2 took 2.5 to 14 times as long as in float32."""
    work = {node: _macs(node) for node in graph.graph.nodes}
    convolutions = [node for node in work if node.target in _CONVOLUTIONS]
    share = sum(work[node] for node in convolutions) / max(sum(work.values()), 1)
    if share > 0.5:
        raise SchemeError(
            f"dynamic_int8: {module_path(convolutions[0])} and {len(convolutions) - 1} more convolutions do "
            f"{100 * share:.0f} % of the multiply-accumulates; expected linear layers to do most, because with ranges "
            "found at run time a convolution is slower than in float32; use static_int8, or float16"
        )


def _macs(node: fx.Node) -> int:
    """Multiply-accumulates of a layer for one input; a batch is a symbol in the shapes, left out here."""
    if node.target is not aten.linear.default and node.target not in _CONVOLUTIONS:
        return 0
    outputs = math.prod(int(size) for size in node.meta["val"].shape[1:])
    weight = cast(fx.Node, node.args[1]).meta["val"]
    if node.target is aten.conv_transpose2d.input:  # weight (in, out / groups, height, width)
        image = cast(fx.Node, node.args[0]).meta["val"]
        return math.prod(int(size) for size in (*image.shape[1:], *weight.shape[1:]))
    return outputs * math.prod(weight.shape[1:])


def _store(graph: fx.GraphModule, source: fx.Node, user: fx.Node, scheme: WeightScheme) -> fx.Node:
    """The weight as integers and their dequantisation, before its first user."""
    weight, name = cast(Tensor, constant_of(graph, source)), str(source.target)
    dequantize: Callable[..., Tensor]
    settings: tuple[Any, ...]
    if isinstance(scheme, WeightOnlyInt4):
        scales = parameters.block_scales(weight, scheme.block_size)
        integers = parameters.quantize_blocks(weight, scales)
        dequantize = qd.dequantize_per_channel_group.default
        settings = (*_INT4, scheme.block_size, torch.float32)
    else:
        scales = parameters.row_scales(weight)
        integers = parameters.quantize_weight(weight, scales)
        dequantize, settings = qd.dequantize_per_channel.default, (0, *_INT8)
    zeros = torch.zeros(scales.shape, dtype=torch.int64)
    parts = (("q", integers), ("scale", scales), ("zero", zeros))
    with graph.graph.inserting_before(user):
        constants = [add_constant(graph, f"{name}_{part}", value) for part, value in parts]
        real = graph.graph.call_function(dequantize, (*constants, *settings))
    real.meta["val"] = source.meta["val"]
    return real


def _dynamic(graph: fx.GraphModule, value: fx.Node, user: fx.Node) -> fx.Node:
    """The value rounded to 256 steps between the least and the greatest of its row, 0 being one of them."""
    done = next((u for u in value.users if u.target is qd.choose_qparams_per_token_asymmetric.default), None)
    if done is not None:  # query, key and value read one input
        (stored,) = [u for u in value.users if u.target is qd.quantize_per_token.default]
        (real,) = [u for u in stored.users if u.target is qd.dequantize_per_token.default]
        return real
    call = graph.graph.call_function
    with graph.graph.inserting_before(user):
        chosen = call(qd.choose_qparams_per_token_asymmetric.default, (value, torch.int8))
        scale, zero_point = (call(operator.getitem, (chosen, position)) for position in (0, 1))
        stored = call(qd.quantize_per_token.default, (value, scale, zero_point, *_ACTIVATION))
        real = call(qd.dequantize_per_token.default, (stored, scale, zero_point, *_ACTIVATION, torch.float32))
    real.meta["val"] = value.meta["val"]
    return real
