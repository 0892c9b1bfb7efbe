"""Audit of an ONNX file, read with the `onnx` package; no runtime is started."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, NodeProto, TensorProto, helper, shape_inference

from compress.errors import ModelError
from compress.export.audit.tally import Bytes, Operator, summarize
from compress.types import Json

_CLIPS = ("Relu", "Clip")
_NO_COMPUTE = ("Cast", "Constant", "Shape", "ConstantOfShape", "Identity")
_MATRIX_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_DATA_FIRST = ("Pad", "Resize", "Slice", "Reshape", "Clip", "Squeeze", "Unsqueeze", "Expand")
"""Operators whose first input is data and whose others say what to do with it."""
_INT8 = (TensorProto.INT8, TensorProto.UINT8)


def audit_onnx(content: bytes, path: Path) -> Json:
    """The report of `compress.export.audit.audit` for an ONNX file."""
    try:
        model = onnx.load_model_from_string(content)
        onnx.checker.check_model(model)
        inferred = shape_inference.infer_shapes(model, data_prop=True)
    except (DecodeError, ValueError, onnx.checker.ValidationError, shape_inference.InferenceError) as error:
        reason = str(error).strip().splitlines()
        raise ModelError(
            f"{path} is no valid ONNX file ({len(content)} bytes: {reason[0] if reason else type(error).__name__}); "
            "expected an ONNX or TFLite model; export or download it again"
        ) from error
    graph = _Graph(inferred)
    return {
        "format": "onnx",
        "opset": next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), None),
        "inputs": [graph.spec(value.name) for value in model.graph.input if value.name not in graph.constants],
        "outputs": [graph.spec(value.name) for value in model.graph.output],
        **summarize([graph.operator(node) for node in model.graph.node], _bytes(model, graph), len(content)),
    }


class _Graph:
    """Who makes and who reads each value, and what is known of its shape and type."""

    def __init__(self, model: ModelProto) -> None:
        self.constants: dict[str, TensorProto] = {tensor.name: tensor for tensor in model.graph.initializer}
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

    def shape(self, name: str) -> list[int | None]:
        """None for a dynamic dimension."""
        if name in self.constants:
            return list(self.constants[name].dims)
        if name in self.maker and self.maker[name].op_type in ("DequantizeLinear", "QuantizeLinear", "Cast"):
            return self.shape(self.maker[name].input[0])
        dims = self.types[name].shape.dim if name in self.types else ()
        return [dim.dim_value if dim.HasField("dim_value") else None for dim in dims]

    def operator(self, node: NodeProto) -> Operator:
        kind, name = node.op_type, node.name or node.output[0]
        if kind in ("QuantizeLinear", "DequantizeLinear"):
            constant = node.input[0] in self.constants
            role: Any = "other" if constant else "quantize" if kind == "QuantizeLinear" else "dequantize"
            return Operator(name=name, kind=kind, dtype="int8", role=role)
        stored = self.dtype(node.output[0])
        if kind in _NO_COMPUTE or stored in (TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL):
            return Operator(name=name, kind=kind, dtype=_dtype_name(stored), role="other")
        if kind in _CLIPS and self._fused(node):
            return Operator(name=name, kind=kind, dtype="int8", role="fused")
        integer = self._integer(node)
        dtype = "int8" if integer else _dtype_name(stored)
        return Operator(name=name, kind=kind, dtype=dtype, role="compute", int8=integer, macs=self.macs(node))

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
        inputs = node.input[:1] if node.op_type in _DATA_FIRST else node.input
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

    def macs(self, node: NodeProto) -> int:
        if node.op_type not in _MATRIX_PRODUCTS:
            return 0
        image, weight = self.shape(node.input[0]), self.shape(node.input[1])
        output = math.prod(size or 1 for size in self.shape(node.output[0]))
        if node.op_type == "Conv":  # weight (out, in / groups, height, width)
            return output * math.prod(size or 1 for size in weight[1:])
        if node.op_type == "ConvTranspose":  # weight (in, out / groups, height, width)
            return math.prod(size or 1 for size in image) * math.prod(size or 1 for size in weight[1:])
        transposed = any(a.name == "transA" and a.i for a in node.attribute)
        return output * ((image[-2 if transposed else -1] or 1) if image else 1)

    def spec(self, name: str) -> Json:
        q = next((n for n in (*self.readers.get(name, []), self.maker.get(name)) if _is_qdq(n)), None)
        scale = self.constants.get(q.input[1]) if q is not None else None
        zero_point = self.constants.get(q.input[2]) if q is not None and len(q.input) > 2 else None
        stored = self.dtype(name) in _INT8
        return {
            "name": name,
            "shape": self.shape(name),
            "dtype": _dtype_name(self.dtype(name)),
            "scale": float(onnx.numpy_helper.to_array(scale)) if stored and scale is not None else None,
            "zero_point": int(onnx.numpy_helper.to_array(zero_point)) if stored and zero_point is not None else None,
        }


def _is_qdq(node: NodeProto | None) -> bool:
    return node is not None and node.op_type in ("QuantizeLinear", "DequantizeLinear")


def _dtype_name(data_type: int) -> str:
    if data_type == TensorProto.UNDEFINED:
        return "unknown"
    return str(helper.tensor_dtype_to_np_dtype(data_type))


def _bytes(model: ModelProto, graph: _Graph) -> Bytes:
    parts = Bytes()
    roles = _roles(model.graph.node, graph)
    for name, role in roles.items():
        tensor = graph.constants[name]
        size = len(tensor.raw_data) or tensor.ByteSize()
        if role == "quantization":
            parts.quantization += size
            continue
        parts.parameters += math.prod(tensor.dims)
        if role == "bias":
            parts.biases += size
        else:
            parts.weights += size
    texts = [model.producer_name, model.producer_version, model.doc_string, model.graph.doc_string]
    texts += [text for node in model.graph.node for text in (node.doc_string, *_properties(node))]
    parts.metadata = sum(len(text.encode()) for text in (*texts, *_properties(model)))
    return parts


def _properties(message: Any) -> list[str]:
    return [text for entry in message.metadata_props for text in (entry.key, entry.value)]


def _roles(nodes: Any, graph: _Graph) -> Mapping[str, str]:
    """Constant -> `weight`, `bias` or `quantization`; constants that are settings of the graph are left out."""
    roles: dict[str, str] = {}
    for node in nodes:
        for position, name in enumerate(node.input):
            if _is_qdq(node) and position > 0:
                roles[name] = "quantization"
                continue
            if _is_qdq(node) or node.op_type == "Cast":
                continue
            maker = graph.maker.get(name)
            through = maker is not None and (_is_qdq(maker) or maker.op_type == "Cast")
            constant = maker.input[0] if maker is not None and through else name
            settings = (position > 0 and node.op_type in _DATA_FIRST) or (not through and graph.is_setting(constant))
            if constant not in graph.constants or settings:
                continue
            is_bias = node.op_type in _MATRIX_PRODUCTS and position == 2
            roles.setdefault(constant, "bias" if is_bias or len(graph.constants[constant].dims) == 1 else "weight")
    return roles
