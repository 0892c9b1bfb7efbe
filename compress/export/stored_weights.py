"""What a graph of a dynamic or weight-only scheme says about its layers, and a graph that converters understand.

No converter takes such a graph and leaves its integers alone: TFLite's multiplies neighbouring constants (a layer
norm's gain, attention's 1/sqrt(d)) into float weights, and neither knows 4 bits in blocks. So each converter is given a
*carrier*: the same graph with every weight as int8 whose scale is the layer's number, 1, 2, 3, ..., which is a
static quantisation and passes untouched. In the file, the number then tells which layer's scales, bits and bias belong
there.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from compress.types import Precision

STORED_WEIGHTS: frozenset[Precision] = frozenset({"dynamic_int8", "weight_only_int8", "weight_only_int4"})
"""Precisions whose files hold such weights."""

aten, qd = torch.ops.aten, torch.ops.quantized_decomposed
_DEQUANTIZE = (qd.dequantize_per_channel.default, qd.dequantize_per_channel_group.default)
_WEIGHT_POSITION = {aten.linear.default: 1, aten.embedding.default: 0}
_ANY_INT8 = (-128, 127, torch.int8)


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredWeight:
    """One linear or embedding layer.

    number: from 1, in graph order.
    name: of the integers in the torch graph, which ONNX keeps.
    integers: (rows, columns) int8; a linear layer has a row per output, an embedding one per token.
    scales: float32, (rows,), or (rows, blocks) where block_size is set and the integers are 4-bit.
    block_size: values that share a scale; None for one scale a row.
    bias: float32 (rows,) or None.
    dynamic: whether the layer's input is stored as int8 at run time.
    """

    number: int
    name: str
    integers: NDArray[np.int8]
    scales: NDArray[np.float32]
    block_size: int | None
    bias: NDArray[np.float32] | None
    dynamic: bool


def read_stored_weights(graph: fx.GraphModule) -> tuple[StoredWeight, ...]:
    """The layers of `graph` whose weights are integers, in graph order."""
    found: list[StoredWeight] = []
    for node in graph.graph.nodes:
        real = _dequantized(node)
        if real is None:
            continue
        integers, scales = (_constant(graph, argument) for argument in real.args[:2])
        grouped = real.target is qd.dequantize_per_channel_group.default
        bias = node.args[2] if node.target is aten.linear.default and len(node.args) > 2 else None
        found.append(
            StoredWeight(
                number=len(found) + 1,
                name=str(cast(fx.Node, real.args[0]).target),
                integers=integers.numpy(),
                scales=scales.numpy(),
                block_size=cast(int, real.args[6]) if grouped else None,
                bias=None if bias is None else _constant(graph, bias).numpy(),
                dynamic=_before_dynamic(node) is not node.args[0],
            )
        )
    return tuple(found)


def make_carrier(graph: fx.GraphModule, weights: Sequence[StoredWeight]) -> fx.GraphModule:
    """A copy of `graph` with plain inputs, and each weight dequantised by its layer's number; biases stay."""
    carrier, remaining = copy.deepcopy(graph), list(weights)
    for node in list(carrier.graph.nodes):
        if _dequantized(node) is None:
            continue
        weight = remaining.pop(0)
        rows = len(weight.integers)
        parts = {
            "integers": torch.from_numpy(weight.integers),
            "number": torch.full((rows,), float(weight.number)),
            "zero": torch.zeros(rows, dtype=torch.int64),
        }
        for part, value in parts.items():
            carrier.register_buffer(f"carried_{weight.number}_{part}", value)
        with carrier.graph.inserting_before(node):
            constants = [carrier.graph.get_attr(f"carried_{weight.number}_{part}") for part in parts]
            real = carrier.graph.call_function(qd.dequantize_per_channel.default, (*constants, 0, *_ANY_INT8))
        node.update_arg(_WEIGHT_POSITION[node.target], real)
        if node.target is aten.linear.default:
            node.update_arg(0, _before_dynamic(node))
    carrier.graph.eliminate_dead_code()
    carrier.recompile()
    return carrier


def pack_int4(integers: NDArray[np.int8]) -> bytes:
    """Two values a byte, the first in the low half; ONNX and TFLite store 4 bits alike."""
    halves = np.append(integers.reshape(-1), np.zeros(integers.size % 2, np.int8)).view(np.uint8) & 0xF
    return (halves[0::2] | halves[1::2] << 4).astype(np.uint8).tobytes()


def _dequantized(node: fx.Node) -> fx.Node | None:
    """The dequantisation of an integer weight that the node reads."""
    if node.target not in _WEIGHT_POSITION:
        return None
    real = cast(fx.Node, node.args[_WEIGHT_POSITION[node.target]])
    return real if real.target in _DEQUANTIZE else None


def _before_dynamic(node: fx.Node) -> fx.Node:
    """A layer's input as it is before it is stored as int8."""
    real = cast(fx.Node, node.args[0])
    if real.target is not qd.dequantize_per_token.default:
        return real
    return cast(fx.Node, cast(fx.Node, real.args[0]).args[0])


def _constant(graph: fx.GraphModule, argument: object) -> Tensor:
    return cast(Tensor, operator.attrgetter(str(cast(fx.Node, argument).target))(graph)).detach()
