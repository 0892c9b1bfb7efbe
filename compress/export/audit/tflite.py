"""Audit of a TFLite flatbuffer, read with the schema that ships with LiteRT; no interpreter is started."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any, cast

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from compress.errors import ModelError
from compress.export.audit.tally import Bytes, Operator, summarize
from compress.types import Json

_OPERATORS = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
_DTYPES = {value: name.lower() for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
_INT8 = ("int8", "uint8")
_NUMBERS = (*_INT8, "int4", "int16", "float16", "float32")
_SHAPES = ("SHAPE", "RANK", "FILL", "PACK", "CAST")
_MATRIX_PRODUCTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "CONV_3D", "FULLY_CONNECTED", "BATCH_MATMUL")
_UNKNOWN = ("CUSTOM", "DELEGATE", "BUILTIN_", "CALL", "IF", "WHILE", "STABLEHLO_", "SVDF", "CONV_3D_TRANSPOSE")
"""Beginnings of kinds whose multiply-accumulates nothing here says: other graphs, recurrences, a maker's own."""


def audit_tflite(content: bytes, path: Path) -> Json:
    """The report of `compress.export.audit.audit` for a TFLite file."""
    try:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        return _report(model, content)
    except (struct.error, ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        # What reading beyond the end of a flatbuffer raises in Python: every offset in it is trusted.
        raise ModelError(
            f"{path} is a truncated or corrupt TFLite file ({len(content)} bytes, {type(error).__name__}); "
            "expected a whole flatbuffer; export or download it again"
        ) from error


def _report(model: Any, content: bytes) -> Json:
    graph = model.subgraphs[0]  # the others are bodies of its branches and loops
    operators = [_operator(model, graph, op, number) for number, op in enumerate(graph.operators)]
    return {
        "format": "tflite",
        "schema_version": int(model.version),
        "inputs": [_spec(graph.tensors[index]) for index in graph.inputs],
        "outputs": [_spec(graph.tensors[index]) for index in graph.outputs],
        **summarize(operators, _bytes(model, graph, content), len(content)),
    }


def _operator(model: Any, graph: Any, op: Any, number: int) -> Operator:
    kind = _kind(model, op)
    inputs = [graph.tensors[index] for index in _vector(op.inputs) if index >= 0]
    outputs = [graph.tensors[index] for index in _vector(op.outputs)]
    constant = all(_data(model, tensor) is not None for tensor in inputs)
    data = [
        _DTYPES[t.type]
        for t in (*inputs, *outputs)
        if not (_data(model, t) is not None and t.type == schema.TensorType.INT32)
    ]
    integer = all(dtype in _INT8 for dtype in data) or _is_hybrid(kind, data)
    dtype = _DTYPES[outputs[0].type] if outputs else "none"
    name = (outputs and _text(outputs[0].name)) or f"{kind}_{number}"
    if kind in ("QUANTIZE", "DEQUANTIZE"):
        # int8 to int8, a change of scale, is arithmetic; and a weight's is done once, when the model is loaded.
        role = "compute" if integer else "other" if constant else kind.lower()
        return Operator(name=name, kind=kind, dtype=dtype, role=cast(Any, role), int8=integer)
    if kind in _SHAPES or not any(d in _NUMBERS for d in data):
        return Operator(name=name, kind=kind, dtype=dtype, role="other")
    return Operator(name=name, kind=kind, dtype=dtype, role="compute", int8=integer, macs=_macs(kind, inputs, outputs))


def _kind(model: Any, op: Any) -> str:
    """The schema's word for it. A writer older than its builtin_code has only the deprecated field, which holds 127."""
    code = model.operatorCodes[op.opcodeIndex]
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    name = _OPERATORS.get(number, f"BUILTIN_{number}")
    return f"CUSTOM {_text(code.customCode)}" if name == "CUSTOM" else name


def _is_hybrid(kind: str, dtypes: list[str]) -> bool:
    """Whether it is a product with an integer weight, whose kernel stores its float input as int8 at run time."""
    return kind in _MATRIX_PRODUCTS and dtypes[0] == "float32" and dtypes[1] in ("int8", "int4")


def _macs(kind: str, inputs: list[Any], outputs: list[Any]) -> int | None:
    if kind not in _MATRIX_PRODUCTS:
        return None if kind.startswith(_UNKNOWN) or "SEQUENCE_" in kind or kind in ("LSTM", "RNN") else 0
    shapes = [_vector(tensor.shape) for tensor in inputs]
    output = math.prod(_vector(outputs[0].shape))
    if kind in ("CONV_2D", "CONV_3D"):  # weight (out, height, width, in / groups)
        return output * math.prod(shapes[1][1:])
    if kind == "DEPTHWISE_CONV_2D":  # weight (1, height, width, out)
        return output * math.prod(shapes[1][1:3])
    if kind == "TRANSPOSE_CONV":  # inputs: output shape, weight (out, height, width, in), image
        return math.prod(shapes[2]) * math.prod(shapes[1][:3])
    # A fully connected layer flattens what it is given: how long a row is, its weight (out, in) says.
    return output * shapes[1 if kind == "FULLY_CONNECTED" else 0][-1]


def _bytes(model: Any, graph: Any, content: bytes) -> Bytes:
    parts = Bytes()
    for op in graph.operators:
        kind = _kind(model, op)
        for position, index in enumerate(_vector(op.inputs)):
            if index >= 0:
                _count_constant(model, graph.tensors[index], parts, position == 2 and kind in _MATRIX_PRODUCTS)
    parts.quantization = _quantization_bytes(content) + _block_scale_bytes(model, graph)
    parts.metadata = len(model.description or b"")
    for entry in model.metadata or []:
        parts.metadata += len(entry.name) + _size(model.buffers[entry.buffer].data)
    return parts


def _count_constant(model: Any, tensor: Any, parts: Bytes, is_bias: bool) -> None:
    data = _data(model, tensor)
    if data is None or str(tensor.buffer) in parts.counted:
        return
    if tensor.type in (schema.TensorType.INT32, schema.TensorType.INT64) and not is_bias:
        return  # axes, paddings, shapes: part of the graph
    parts.counted.add(str(tensor.buffer))
    elements = math.prod(_vector(tensor.shape))
    parts.parameters += elements
    if is_bias or len(_vector(tensor.shape)) == 1:
        parts.biases += len(data)
    else:
        parts.weights += len(data)
        parts.weights_by_dtype[_DTYPES[tensor.type]] += elements


def _quantization_bytes(content: bytes) -> int:
    """Scales and zero points; an array that several tensors refer to counts once."""
    graph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    sizes: dict[int, int] = {}
    for index in range(graph.TensorsLength()):
        table = graph.Tensors(index).Quantization()
        for slot, width in (
            ((4, 4), (6, 4), (8, 4), (10, 8)) if table is not None else ()
        ):  # min, max, scale, zero_point
            offset = table._tab.Offset(slot)
            if offset:
                sizes[table._tab.Vector(offset)] = width * table._tab.VectorLen(offset)
    return sum(sizes.values())


def _vector(numbers: Any) -> list[int]:
    """A vector of the flatbuffer; writers leave out empty ones."""
    return [] if numbers is None else [int(number) for number in numbers]


def _block_scale_bytes(model: Any, graph: Any) -> int:
    """Scales of 4-bit blocks, which are constants that no operator reads."""
    details = [tensor.quantization.details for tensor in graph.tensors if tensor.quantization is not None]
    blocks = [each for each in details if isinstance(each, schema.BlockwiseQuantizationT)]
    return sum(_size(model.buffers[graph.tensors[each.scales].buffer].data) for each in blocks)


def _size(array: Any) -> int:
    return 0 if array is None else int(np.asarray(array).nbytes)


def _data(model: Any, tensor: Any) -> Any:
    """A constant's bytes, None for a value that is computed."""
    data = model.buffers[tensor.buffer].data
    return data if data is not None and len(data) else None


def _spec(tensor: Any) -> Json:
    q = tensor.quantization
    quantised = q is not None and q.scale is not None and len(q.scale) == 1
    signature = _vector(tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature)
    return {
        "name": _text(tensor.name),
        "shape": [None if size < 0 else size for size in signature],
        "dtype": _DTYPES[tensor.type],
        "scale": float(q.scale[0]) if quantised else None,
        "zero_point": next(iter(_vector(q.zeroPoint)), 0) if quantised else None,
    }


def _text(name: bytes | None) -> str:
    return (name or b"").decode("utf-8", "replace")
