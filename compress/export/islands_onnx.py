"""Layers that stay in float among integers, for ONNX Runtime.

It gives a float layer between a dequantisation and a quantisation an int8 weight with one scale for all of it
(WeightBiasQuantization; 1.32 does, and all its optimisation is on unless an app turns it off), where the model left the
layer in float because that costs too much. It does so for inputs with one scale alone: so such a layer reads its input
through a dequantisation of its own, with the same scale written once for each channel.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper


def keep_islands(model: ModelProto) -> None:
    """Give every convolution and Gemm with a float weight a dequantisation per channel, in place."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    maker = {output: node for node in model.graph.node for output in node.output}
    for node in list(model.graph.node):
        source = maker.get(node.input[0]) if node.input else None
        if node.op_type not in ("Conv", "Gemm") or source is None or source.op_type != "DequantizeLinear":
            continue
        if node.input[1] in constants and source.input[0] not in constants:
            channels = _channels(node, list(constants[node.input[1]].dims))
            names = [
                f"{node.output[0]}_source",
                f"{node.output[0]}_source_scale",
                f"{node.output[0]}_source_zero_point",
            ]
            for name, one in zip(names[1:], source.input[1:], strict=True):
                many = np.full(channels, numpy_helper.to_array(constants[one]))
                model.graph.initializer.append(numpy_helper.from_array(many, name))
            own = helper.make_node("DequantizeLinear", [source.input[0], *names[1:]], names[:1], axis=1)
            model.graph.node.insert(list(model.graph.node).index(node), own)
            node.input[0] = names[0]
    _drop_unread(model)


def _channels(layer: NodeProto, weight: list[int]) -> int:
    numbers = {attribute.name: attribute.i for attribute in layer.attribute}
    if layer.op_type == "Conv":
        return weight[1] * numbers.get("group", 1)
    return weight[1] if numbers.get("transB") else weight[0]


def _drop_unread(model: ModelProto) -> None:
    """The dequantisations that only such layers read; their scales are those of a quantisation, and stay."""
    read = {name for node in model.graph.node for name in node.input} | {value.name for value in model.graph.output}
    kept = [node for node in model.graph.node if node.op_type != "DequantizeLinear" or node.output[0] in read]
    del model.graph.node[:]
    model.graph.node.extend(kept)
