"""Gives a converted TFLite file short, stable names and aligned data.

The converter names every tensor after the Python classes it came through, a fifth of a small model's bytes, and marks
the file with its own settings. The flatbuffer is read into objects, renamed, and packed again.
"""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

_ALIGNMENT = 16  # what the schema asks of buffer data (force_align); kernels load whole vectors
_KEPT_METADATA = (b"min_runtime_version",)
_OPERATORS = {value: name.lower() for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}


class _AlignedBuffer(schema.BufferT):  # type: ignore[misc]
    """A buffer whose data starts at a multiple of 16 bytes; the generated code forgets to."""

    def Pack(self, builder: Any) -> Any:
        data = None
        if self.data is not None and len(self.data):
            content = np.asarray(self.data, dtype=np.uint8).tobytes()
            builder.StartVector(1, len(content), _ALIGNMENT)
            builder.head -= len(content)
            builder.Bytes[builder.head : builder.head + len(content)] = content
            data = builder.EndVector()
        schema.BufferStart(builder)
        if data is not None:
            schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)


class _SharedQuantization(schema.QuantizationParametersT):  # type: ignore[misc]
    """Quantisation parameters that write an array of zero points once for all tensors that have the same.

    Zero points are 64-bit, and those of per_channel weights and biases are all 0: a sixth of a small int8 model.
    """

    written: dict[bytes, Any]

    def Pack(self, builder: Any) -> Any:
        if self.min is not None or self.max is not None or self.details is not None or self.scale is None:
            return super().Pack(builder)
        scale = builder.CreateNumpyVector(np.asarray(self.scale, np.float32))
        zero_points = np.asarray(self.zeroPoint, np.int64)
        if zero_points.tobytes() not in self.written:
            self.written[zero_points.tobytes()] = builder.CreateNumpyVector(zero_points)
        schema.QuantizationParametersStart(builder)
        schema.QuantizationParametersAddScale(builder, scale)
        schema.QuantizationParametersAddZeroPoint(builder, self.written[zero_points.tobytes()])
        schema.QuantizationParametersAddQuantizedDimension(builder, self.quantizedDimension)
        return schema.QuantizationParametersEnd(builder)


def tidy(content: bytes) -> bytes:
    """The same model with our names and nothing of its maker in it.

    Args:
        content: a TFLite file with one subgraph and one signature, of less than 2 GiB.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    _read_appended_buffers(model, content)
    _rename(model)
    model.description = b"compress"
    model.metadata = [entry for entry in model.metadata or [] if entry.name in _KEPT_METADATA]
    _drop_unused_buffers(model)
    _share_zero_points(model)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _read_appended_buffers(model: Any, content: bytes) -> None:
    """Take in the data that ai-edge-quantizer writes behind the flatbuffer, as it does with files of some megabytes."""
    for buffer in model.buffers:
        if buffer.data is None and buffer.offset > 1:  # 0 and 1 mean that there is none
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)


def _rename(model: Any) -> None:
    graph = model.subgraphs[0]
    graph.name = b"main"
    for number, op in enumerate(graph.operators):
        name = _OPERATORS[model.operatorCodes[op.opcodeIndex].builtinCode]
        for position, index in enumerate(op.inputs):
            if index >= 0 and model.buffers[graph.tensors[index].buffer].data is not None:
                graph.tensors[index].name = f"{name}_{number}/constant_{position}".encode()
        for position, index in enumerate(op.outputs):
            suffix = f":{position}" if position else ""
            graph.tensors[index].name = f"{name}_{number}{suffix}".encode()
    for kind, tensors in (("input", graph.inputs), ("logits", graph.outputs)):
        for position, index in enumerate(tensors):
            graph.tensors[index].name = (f"{kind}_{position}" if position else kind).encode()
    for signature in model.signatureDefs or []:
        for entry in (*signature.inputs, *signature.outputs):
            entry.name = graph.tensors[entry.tensorIndex].name


def _share_zero_points(model: Any) -> None:
    written: dict[bytes, Any] = {}
    for tensor in model.subgraphs[0].tensors:
        if tensor.quantization is not None:
            shared = _SharedQuantization()
            shared.__dict__.update(tensor.quantization.__dict__, written=written)
            tensor.quantization = shared


def _drop_unused_buffers(model: Any) -> None:
    """Renumber so that buffer 0 stays the empty one, as the format demands, and nothing unread is kept."""
    holders = [*(t for graph in model.subgraphs for t in graph.tensors), *model.metadata]
    order = [0, *sorted({holder.buffer for holder in holders} - {0})]
    number_of = {old: new for new, old in enumerate(order)}
    for holder in holders:
        holder.buffer = number_of[holder.buffer]
    buffers = []
    for old in order:
        buffer = _AlignedBuffer()
        buffer.data = model.buffers[old].data
        buffers.append(buffer)
    model.buffers = buffers
