"""The graph of an ONNX file: who makes and reads each value, and what each operator is and does."""

from __future__ import annotations

import math
from typing import Any

import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper

from compress.export.audit.tally import Operator
from compress.types import Json

_CLIPS = ("Relu", "Clip")
_NO_COMPUTE = ("Cast", "Constant", "Shape", "ConstantOfShape", "Identity")
_INTEGER_PRODUCTS = ("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger")
_WEIGHT = {"Conv": 1, "ConvTranspose": 1, "Gemm": 1, "MatMul": 1, "ConvInteger": 1, "MatMulInteger": 1}
_WEIGHT |= {"QLinearConv": 3, "QLinearMatMul": 3}
"""Convolutions and matrix products -> the input that is their weight, or the second factor."""
BIAS = {"Conv": 2, "ConvTranspose": 2, "Gemm": 2, "QLinearConv": 8}
_UNKNOWN = ("If", "Loop", "Scan", "LSTM", "GRU", "RNN", "Einsum", "DeformConv", "Attention", "SequenceMap")
"""Kinds of ONNX's own whose multiply-accumulates nothing here counts."""
DATA_FIRST = ("Pad", "Resize", "Slice", "Reshape", "Clip", "Squeeze", "Unsqueeze", "Expand")
"""Operators whose first input is data and whose others say what to do with it."""
_INT8 = (TensorProto.INT8, TensorProto.UINT8)


class Graph:
    """Who makes and who reads each value, and what is known of its shape and type."""

    def __init__(self, model: ModelProto) -> None:
        self.constants: dict[str, TensorProto] = {tensor.name: tensor for tensor in model.graph.initializer}
        for node in model.graph.node:  # some exporters keep their weights in nodes
            if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
                self.constants[node.output[0]] = node.attribute[0].t
        self.maker: dict[str, NodeProto] = {name: node for node in model.graph.node for name in node.output}
        self.readers: dict[str, list[NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        values = (*model.graph.input, *model.graph.output, *model.graph.value_info)
        self.types: dict[str, Any] = {value.name: value.type.tensor_type for value in values}

    def dtype(self, name: str) -> int:
        if name in self.constants:
            return int(self.constants[name].data_type)
        return int(self.types[name].elem_type) if name in self.types else TensorProto.UNDEFINED

    def shape(self, name: str) -> list[int | None] | None:
        """None for a dynamic dimension; None for all if the shape is not known."""
        if name in self.constants:
            return list(self.constants[name].dims)
        if name in self.maker and self.maker[name].op_type in ("DequantizeLinear", "QuantizeLinear", "Cast"):
            return self.shape(self.maker[name].input[0])
        if name not in self.types or not self.types[name].HasField("shape"):
            return None
        dims = self.types[name].shape.dim
        return [dim.dim_value if dim.HasField("dim_value") else None for dim in dims]

    def operator(self, node: NodeProto) -> Operator:
        kind, name = node.op_type, node.name or node.output[0]
        if kind in ("QuantizeLinear", "DequantizeLinear"):
            constant = node.input[0] in self.constants
            role: Any = "other" if constant else "quantize" if kind == "QuantizeLinear" else "dequantize"
            return Operator(name=name, kind=kind, dtype="int8", role=role, runs=not self._fuses(node))
        if kind == "DynamicQuantizeLinear":
            return Operator(name=name, kind=kind, dtype="int8", role="quantize")
        if kind.startswith("QLinear") or kind in _INTEGER_PRODUCTS:
            return Operator(name=name, kind=kind, dtype="int8", role="compute", int8=True, macs=self.macs(node))
        stored = self.dtype(node.output[0])
        if kind in _NO_COMPUTE or stored in (TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL):
            return Operator(name=name, kind=kind, dtype=dtype_name(stored), role="other")
        if kind in _CLIPS and self._fused(node):
            return Operator(name=name, kind=kind, dtype="int8", role="fused")
        integer = self._integer(node)
        dtype = "int8" if integer else dtype_name(stored)
        return Operator(name=name, kind=kind, dtype=dtype, role="compute", int8=integer, macs=self.macs(node))

    def _fuses(self, node: NodeProto) -> bool:
        """Whether a QuantizeLinear or DequantizeLinear is a mark at an integer operator, which does its work."""
        if node.op_type == "DequantizeLinear":
            readers = self.readers.get(node.output[0], [])
            return bool(readers) and all(not is_qdq(reader) and self._integer(reader) for reader in readers)
        maker = self.maker.get(node.input[0])
        if maker is not None and maker.op_type in _CLIPS and self._fused(maker):
            maker = self.maker[maker.input[0]]
        return maker is not None and not is_qdq(maker) and self._integer(maker)

    def _fused(self, clip: NodeProto) -> bool:
        """A clip between an operator and a QuantizeLinear, which is nothing but that operator's rounding."""
        before = self.maker.get(clip.input[0])
        return (
            before is not None
            and before.op_type not in ("DequantizeLinear", "QuantizeLinear")
            and self._only_quantized(clip.output[0])
        )

    def _only_quantized(self, name: str) -> bool:
        readers = self.readers.get(name, [])
        return bool(readers) and all(reader.op_type == "QuantizeLinear" for reader in readers)

    def _integer(self, node: NodeProto) -> bool:
        inputs = node.input[:1] if node.op_type in DATA_FIRST else node.input
        data = [name for name in inputs if name and not self.is_setting(name)]
        if self.dtype(node.output[0]) in _INT8:
            return all(self.dtype(name) in _INT8 for name in data)
        dequantised = all(name in self.maker and self.maker[name].op_type == "DequantizeLinear" for name in data)
        output = node.output[0]
        readers = self.readers.get(output, [])
        if len(readers) == 1 and readers[0].op_type in _CLIPS and self._fused(readers[0]):
            return dequantised
        return dequantised and self._only_quantized(output)

    def is_setting(self, name: str) -> bool:
        """Shapes, axes, and the numbers that a clip or a pad takes."""
        scalar = name in self.constants and not self.constants[name].dims
        return scalar or self.dtype(name) in (TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL)

    def macs(self, node: NodeProto) -> int | None:
        """None of what is not known: a kind of another maker, a graph in the graph, a shape that cannot be inferred."""
        if node.op_type not in _WEIGHT:
            foreign = node.domain not in ("", "ai.onnx") and not node.op_type.startswith("QLinear")
            return None if foreign or node.op_type in _UNKNOWN else 0
        image, weight = self.shape(node.input[0]), self.shape(node.input[_WEIGHT[node.op_type]])
        made = self.shape(node.output[0])
        if image is None or weight is None or made is None:
            return None
        output = math.prod(size or 1 for size in made)
        if node.op_type in ("Conv", "QLinearConv", "ConvInteger"):  # weight (out, in / groups, height, width)
            return output * math.prod(size or 1 for size in weight[1:])
        if node.op_type == "ConvTranspose":  # weight (in, out / groups, height, width)
            return math.prod(size or 1 for size in image) * math.prod(size or 1 for size in weight[1:])
        transposed = any(a.name == "transA" and a.i for a in node.attribute)
        return output * ((image[-2 if transposed else -1] or 1) if image else 1)

    def spec(self, name: str) -> Json:
        q = next((n for n in (*self.readers.get(name, []), self.maker.get(name)) if is_qdq(n)), None)
        scale = self.constants.get(q.input[1]) if q is not None else None
        zero_point = self.constants.get(q.input[2]) if q is not None and len(q.input) > 2 else None
        stored = self.dtype(name) in _INT8
        return {
            "name": name,
            "shape": self.shape(name) or [],
            "dtype": dtype_name(self.dtype(name)),
            "scale": float(onnx.numpy_helper.to_array(scale)) if stored and scale is not None else None,
            "zero_point": int(onnx.numpy_helper.to_array(zero_point)) if stored and zero_point is not None else None,
        }


def is_qdq(node: NodeProto | None) -> bool:
    return node is not None and node.op_type in ("QuantizeLinear", "DequantizeLinear")


def is_scale(node: NodeProto, position: int) -> bool:
    """Whether an input of the node is a scale or a zero point."""
    if node.op_type in _INTEGER_PRODUCTS:
        data = (0, _WEIGHT[node.op_type], BIAS.get(node.op_type))
        return position not in data
    return is_qdq(node) and position > 0


def dtype_name(data_type: int) -> str:
    if data_type == TensorProto.UNDEFINED:
        return "unknown"
    return str(helper.tensor_dtype_to_np_dtype(data_type))
