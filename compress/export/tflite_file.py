"""A TFLite model as objects that may be changed, and the few changes that stored weights and variants need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

BUILTIN, TYPE = schema.BuiltinOperator, schema.TensorType


class TfliteFile:
    """One subgraph; operators and tensors are those of the generated schema.

    graph: the subgraph.
    """

    def __init__(self, content: bytes) -> None:
        self._model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        self.graph = self._model.subgraphs[0]

    def pack(self) -> bytes:
        """The file's content, without operator codes and tensors that nothing uses any more."""
        self._drop_unused_codes()
        self._drop_unused_tensors()
        builder = flatbuffers.Builder(0)
        builder.Finish(self._model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    def kind(self, op: Any) -> int:
        """Which built-in operator it is."""
        return int(self._code(op).builtinCode)

    def require_version(self, op: Any, version: int) -> None:
        """Make runtimes that are too old for what the operator does here refuse the file."""
        self._code(op).version = max(version, int(self._code(op).version))

    def is_constant(self, tensor: int) -> bool:
        """Whether the file holds its data."""
        data = self._data(tensor)
        return data is not None and len(data) > 0

    def scales(self, tensor: int) -> NDArray[np.float32] | None:
        """Of an integer tensor."""
        quantization = self.graph.tensors[tensor].quantization
        return None if quantization is None else quantization.scale

    def constant(self, tensor: int) -> NDArray[np.float32]:
        """A constant's float values."""
        return np.asarray(self._data(tensor), np.uint8).view(np.float32).reshape(self.graph.tensors[tensor].shape)

    def bypass(self, operators: Sequence[Any]) -> None:
        """Take out operators, each with one input and output; what they read takes its place."""
        out = {id(op) for op in operators}
        source: dict[int, int] = {}
        kept = []
        for op in self.graph.operators:
            op.inputs = [source.get(int(index), int(index)) for index in op.inputs]
            if id(op) in out:
                source[int(op.outputs[0])] = op.inputs[0]
            else:
                kept.append(op)
        self.graph.operators = kept
        self.graph.outputs = [source.get(int(index), int(index)) for index in self.graph.outputs]
        for signature in self._model.signatureDefs or []:
            for entry in signature.outputs:
                entry.tensorIndex = source.get(int(entry.tensorIndex), int(entry.tensorIndex))

    def set_data(self, tensor: int, kind: int, data: bytes) -> None:
        """Give a constant another type and other data; other tensors that shared its data keep theirs."""
        self.graph.tensors[tensor].type = kind
        self.graph.tensors[tensor].buffer = self._add_buffer(data)

    def add_constant(self, value: NDArray[Any], kind: int) -> int:
        """The index of a new constant tensor."""
        index = self.add_value(value.shape, kind)
        self.graph.tensors[index].buffer = self._add_buffer(np.ascontiguousarray(value).tobytes())
        return index

    def add_value(self, shape: Sequence[int], kind: int) -> int:
        """The index of a new tensor that an operator computes."""
        tensor = schema.TensorT()
        tensor.type, tensor.shape, tensor.buffer = kind, np.asarray(shape, np.int32), 0
        tensor.name = b"scales"  # operators' inputs and outputs are named when the file is tidied; scales are neither
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def replace_end(self, old: int, new: int) -> None:
        """Let another tensor be what the graph reads or gives in the place of `old`."""
        graph = self.graph
        graph.inputs, graph.outputs = (
            [new if index == old else int(index) for index in part] for part in (graph.inputs, graph.outputs)
        )
        for signature in self._model.signatureDefs or []:
            for entry in (*signature.inputs, *signature.outputs):
                entry.tensorIndex = new if entry.tensorIndex == old else entry.tensorIndex

    def insert_before(self, op: Any, kind: int, source: int, target: int) -> None:
        """A new operator of one input and one output."""
        self.graph.operators.insert(self.graph.operators.index(op), self._operator(kind, source, target))

    def append(self, kind: int, source: int, target: int, version: int) -> None:
        """A new last operator of one input and one output."""
        self.graph.operators.append(self._operator(kind, source, target))
        self.require_version(self.graph.operators[-1], version)

    def _operator(self, kind: int, source: int, target: int) -> Any:
        codes = self._model.operatorCodes
        position = next((i for i, code in enumerate(codes) if code.builtinCode == kind), len(codes))
        if position == len(codes):
            code = schema.OperatorCodeT()
            code.builtinCode = code.deprecatedBuiltinCode = kind
            code.version = 1
            codes.append(code)
        new = schema.OperatorT()
        new.opcodeIndex, new.inputs, new.outputs = position, [source], [target]
        return new

    def _code(self, op: Any) -> Any:
        return self._model.operatorCodes[op.opcodeIndex]

    def _data(self, tensor: int) -> Any:
        return self._model.buffers[self.graph.tensors[tensor].buffer].data

    def _add_buffer(self, data: bytes) -> int:
        """The index of a buffer with these bytes; tied weights share one."""
        for index, buffer in enumerate(self._model.buffers):
            if buffer.data is not None and len(buffer.data) == len(data) and bytes(buffer.data) == data:
                return index
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(data, np.uint8)
        self._model.buffers.append(buffer)
        return len(self._model.buffers) - 1

    def _drop_unused_codes(self) -> None:
        used = sorted({op.opcodeIndex for op in self.graph.operators})
        for op in self.graph.operators:
            op.opcodeIndex = used.index(op.opcodeIndex)
        self._model.operatorCodes = [self._model.operatorCodes[index] for index in used]

    def _drop_unused_tensors(self) -> None:
        graph = self.graph
        lists = [graph.inputs, graph.outputs, *(part for op in graph.operators for part in (op.inputs, op.outputs))]
        used = {int(index) for part in lists for index in part if index >= 0}
        blocks = [q.details for t in (graph.tensors[i] for i in used) if (q := t.quantization) and q.details]
        used |= {details.scales for details in blocks}
        number = {old: new for new, old in enumerate(sorted(used))}
        graph.tensors = [graph.tensors[index] for index in sorted(used)]
        graph.inputs, graph.outputs = ([number[int(index)] for index in part] for part in (graph.inputs, graph.outputs))
        for op in graph.operators:
            op.inputs, op.outputs = ([number.get(int(i), -1) for i in part] for part in (op.inputs, op.outputs))
        for details in blocks:
            details.scales = number[details.scales]
        for signature in self._model.signatureDefs or []:
            for entry in (*signature.inputs, *signature.outputs):
                entry.tensorIndex = number[int(entry.tensorIndex)]
