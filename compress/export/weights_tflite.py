"""Puts the integers of stored weights into a TFLite file that was converted from their carrier.

A linear layer whose weight is int8 and whose values are float is what LiteRT calls hybrid: it stores each row of the
input as int8 at run time. Weight-only int8 layers get a DEQUANTIZE of the weight instead, which XNNPACK folds into its
own copy while it loads. For 4 bits in blocks LiteRT has the hybrid kernel only: activations are stored as int8 there.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from torch import fx

from compress.errors import ModelError
from compress.export.stored_weights import StoredWeight, pack_int4

aten, qd = torch.ops.aten, torch.ops.quantized_decomposed
_FENCE = (1.0, 0, -128, 127, torch.int8)
_BUILTIN, _TYPE = schema.BuiltinOperator, schema.TensorType


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
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    file = _File(model)
    file.remove_fences()
    lost = {weight.number: weight for weight in weights}
    for op in list(file.graph.operators):
        kind = file.kind(op)
        if kind == _BUILTIN.FULLY_CONNECTED:
            weight = lost.pop(file.number(op.inputs[1]), None)
            if weight is not None:
                _restore_linear(file, op, weight)
        elif kind == _BUILTIN.EMBEDDING_LOOKUP:
            table = file.constant(op.inputs[1])
            weight = next((w for w in lost.values() if np.array_equal(table, w.integers * np.float32(w.number))), None)
            if weight is not None:
                file.store(op.inputs[1], lost.pop(weight.number))
    if lost:
        name = next(iter(lost.values())).name
        raise ModelError(
            f"litert_torch turned {name} into something else than a linear layer or a lookup; expected one "
            "FULLY_CONNECTED or EMBEDDING_LOOKUP a layer; use float16, or export to onnx only"
        )
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _restore_linear(file: _File, op: Any, weight: StoredWeight) -> None:
    file.store(op.inputs[1], weight)
    bias = -1 if weight.bias is None else file.add_tensor(weight.bias, _TYPE.FLOAT32)
    op.inputs = [op.inputs[0], op.inputs[1], bias]
    op.builtinOptions.asymmetricQuantizeInputs = True  # each row's int8 values have a zero point too, as in torch
    if not weight.dynamic and weight.block_size is None:
        real = file.add_tensor(None, _TYPE.FLOAT32, shape=weight.integers.shape)
        file.insert_before(op, _BUILTIN.DEQUANTIZE, op.inputs[1], real)
        op.inputs[1] = real


class _File:
    """A TFLite model as objects that may be changed."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.graph = model.subgraphs[0]

    def kind(self, op: Any) -> int:
        return int(self.model.operatorCodes[op.opcodeIndex].builtinCode)

    def number(self, tensor: int) -> int:
        """What a carried weight has for a scale; 0 for any other tensor."""
        quantization = self.graph.tensors[tensor].quantization
        carried = self._is_constant(tensor) and quantization is not None and quantization.scale is not None
        return int(quantization.scale[0]) if carried else 0

    def constant(self, tensor: int) -> NDArray[np.float32]:
        """A constant's float values."""
        data = self.model.buffers[self.graph.tensors[tensor].buffer].data
        return np.asarray(data, np.uint8).view(np.float32).reshape(self.graph.tensors[tensor].shape)

    def remove_fences(self) -> None:
        """Take out every QUANTIZE and DEQUANTIZE, and make float what they stored as int8."""
        source: dict[int, int] = {}
        kept = []
        for op in self.graph.operators:
            op.inputs = [source.get(int(index), int(index)) for index in op.inputs]
            if self.kind(op) in (_BUILTIN.QUANTIZE, _BUILTIN.DEQUANTIZE):
                source[int(op.outputs[0])] = op.inputs[0]
            else:
                kept.append(op)
        self.graph.operators = kept
        self.graph.outputs = [source.get(int(index), int(index)) for index in self.graph.outputs]
        for signature in self.model.signatureDefs or []:
            for entry in signature.outputs:
                entry.tensorIndex = source.get(int(entry.tensorIndex), int(entry.tensorIndex))
        for index, tensor in enumerate(self.graph.tensors):
            if tensor.type == _TYPE.INT8 and not self._is_constant(index):
                tensor.type, tensor.quantization = _TYPE.FLOAT32, None

    def store(self, tensor: int, weight: StoredWeight) -> None:
        """Make a constant hold a layer's integers and scales."""
        target = self.graph.tensors[tensor]
        quantization = schema.QuantizationParametersT()
        quantization.quantizedDimension = 0
        if weight.block_size is None:
            target.type, data = _TYPE.INT8, weight.integers.tobytes()
            quantization.scale = weight.scales
            quantization.zeroPoint = np.zeros(len(weight.scales), np.int64)
        else:
            target.type, data = _TYPE.INT4, pack_int4(weight.integers)
            details = schema.BlockwiseQuantizationT()
            details.scales = self.add_tensor(weight.scales.astype(np.float16), _TYPE.FLOAT16)
            details.zeroPoints, details.blockSize = -1, weight.block_size
            quantization.details, quantization.detailsType = details, schema.QuantizationDetails.BlockwiseQuantization
        target.quantization = quantization
        target.buffer = self._add_buffer(data)

    def add_tensor(self, value: NDArray[Any] | None, kind: int, shape: Sequence[int] = ()) -> int:
        """The index of a new constant, or of a new value of a shape."""
        tensor = schema.TensorT()
        tensor.type, tensor.name = kind, b"scales"  # what an operator reads is named when the file is tidied
        tensor.shape = np.asarray(shape if value is None else value.shape, np.int32)
        tensor.buffer = 0 if value is None else self._add_buffer(np.ascontiguousarray(value).tobytes())
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def insert_before(self, op: Any, kind: int, source: int, target: int) -> None:
        """A new operator of one input and one output."""
        codes = self.model.operatorCodes
        position = next((i for i, code in enumerate(codes) if code.builtinCode == kind), len(codes))
        if position == len(codes):
            code = schema.OperatorCodeT()
            code.builtinCode = code.deprecatedBuiltinCode = kind
            code.version = 1
            codes.append(code)
        new = schema.OperatorT()
        new.opcodeIndex, new.inputs, new.outputs = position, [source], [target]
        self.graph.operators.insert(self.graph.operators.index(op), new)

    def _add_buffer(self, data: bytes) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(data, np.uint8)
        self.model.buffers.append(buffer)
        return len(self.model.buffers) - 1

    def _is_constant(self, tensor: int) -> bool:
        data = self.model.buffers[self.graph.tensors[tensor].buffer].data
        return data is not None and len(data) > 0
