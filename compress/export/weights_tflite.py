"""Puts the integers of stored weights into a TFLite file that was converted from their carrier.

A linear layer whose weight is int8 and whose values are float is what LiteRT calls hybrid: it stores each row of the
input as int8 at run time. Weight-only int8 layers get a DEQUANTIZE of the weight instead, which XNNPACK folds into its
own copy while it loads. For 4 bits in blocks LiteRT has the hybrid kernel only: activations are stored as int8 there.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from torch import fx

from compress.errors import ModelError
from compress.export.stored_weights import StoredWeight, pack_int4
from compress.export.tflite_file import BUILTIN, TYPE, TfliteFile

aten, qd = torch.ops.aten, torch.ops.quantized_decomposed
_FENCE = (1.0, 0, -128, 127, torch.int8)

# Versions of the operators from which on runtimes know a scale per row of the weight. The converter writes older ones,
# and tflite-runtime 2.14 then takes the first row's scale for all: it opens the file and is silently wrong, or crashes.
# With these it refuses the file.
_HYBRID_WITH_SCALES, _ROWS_WITH_SCALES = 12, 4


def fence(carrier: fx.GraphModule) -> fx.GraphModule:
    """A copy in which each carried linear layer stands alone: stored int8 values around it, and no bias.

    The converter then makes an integer layer of it and leaves its neighbours out of it; `restore_weights` makes its
    values float again, so that the fence's scale never meets a value.
    """
    fenced = copy.deepcopy(carrier)
    for node in list(fenced.graph.nodes):
        if node.target is not aten.linear.default or node.args[1].target is not qd.dequantize_per_channel.default:
            continue
        node.args = (_store_and_read(fenced, node.args[0]), node.args[1])
        users = list(node.users)
        real = _store_and_read(fenced, node)
        for user in users:
            user.replace_input_with(node, real)
    fenced.graph.eliminate_dead_code()
    fenced.recompile()
    return fenced


def _store_and_read(graph: fx.GraphModule, value: fx.Node) -> fx.Node:
    with graph.graph.inserting_after(value):
        stored = graph.graph.call_function(qd.quantize_per_tensor.default, (value, *_FENCE))
    with graph.graph.inserting_after(stored):
        return graph.graph.call_function(qd.dequantize_per_tensor.default, (stored, *_FENCE))


def restore_weights(content: bytes, weights: Sequence[StoredWeight]) -> bytes:
    """The file with the layers' own integers, scales and biases.

    Args:
        content: converted from `fence`'s graph as a static one.
        weights: what the carrier was made from.

    Raises:
        ModelError: a layer did not come through the converter as one FULLY_CONNECTED or EMBEDDING_LOOKUP.
    """
    file = TfliteFile(content)
    _remove_fences(file)
    lost = {weight.number: weight for weight in weights}
    for op in list(file.graph.operators):
        kind = file.kind(op)
        if kind == BUILTIN.FULLY_CONNECTED:
            scales = file.scales(op.inputs[1]) if file.is_constant(op.inputs[1]) else None
            weight = None if scales is None else lost.pop(int(scales[0]), None)
            if weight is not None:
                _restore_linear(file, op, weight)
        elif kind == BUILTIN.EMBEDDING_LOOKUP:
            table = file.constant(op.inputs[1])  # the converter made its carrier float
            weight = next((w for w in lost.values() if np.array_equal(table, w.integers * np.float32(w.number))), None)
            if weight is not None:
                _store(file, op.inputs[1], lost.pop(weight.number))
                file.require_version(op, _ROWS_WITH_SCALES)
    if lost:
        name = next(iter(lost.values())).name
        raise ModelError(
            f"litert_torch turned {name} into something else than a linear layer or a lookup; expected one "
            "FULLY_CONNECTED or EMBEDDING_LOOKUP a layer; use float16, or export to onnx only"
        )
    return file.pack()


def _remove_fences(file: TfliteFile) -> None:
    file.bypass([op for op in file.graph.operators if file.kind(op) in (BUILTIN.QUANTIZE, BUILTIN.DEQUANTIZE)])
    for index, tensor in enumerate(file.graph.tensors):
        if tensor.type == TYPE.INT8 and not file.is_constant(index):
            tensor.type, tensor.quantization = TYPE.FLOAT32, None


def _restore_linear(file: TfliteFile, op: Any, weight: StoredWeight) -> None:
    _store(file, op.inputs[1], weight)
    bias = -1 if weight.bias is None else file.add_constant(weight.bias, TYPE.FLOAT32)
    op.inputs = [op.inputs[0], op.inputs[1], bias]
    if weight.dynamic or weight.block_size is not None:
        op.builtinOptions.asymmetricQuantizeInputs = True  # a row's int8 values have a zero point, as in torch
        file.require_version(op, _HYBRID_WITH_SCALES)
        return
    real = file.add_value(weight.integers.shape, TYPE.FLOAT32)
    file.insert_before(op, BUILTIN.DEQUANTIZE, op.inputs[1], real)
    op.inputs[1] = real


def _store(file: TfliteFile, tensor: int, weight: StoredWeight) -> None:
    """Make a constant hold a layer's integers and scales."""
    quantization = schema.QuantizationParametersT()
    quantization.quantizedDimension = 0
    if weight.block_size is None:
        file.set_data(tensor, TYPE.INT8, weight.integers.tobytes())
        quantization.scale = weight.scales
        quantization.zeroPoint = np.zeros(len(weight.scales), np.int64)
    else:
        file.set_data(tensor, TYPE.INT4, pack_int4(weight.integers))
        details = schema.BlockwiseQuantizationT()
        details.scales = file.add_constant(weight.scales.astype(np.float16), TYPE.FLOAT16)
        details.zeroPoints, details.blockSize = -1, weight.block_size
        quantization.details, quantization.detailsType = details, schema.QuantizationDetails.BlockwiseQuantization
    file.graph.tensors[tensor].quantization = quantization
