"""The part of an audit that both formats share: what each operator and constant adds up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from compress.types import Json


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One operator as its format's reader understands it.

    name: unique in the file. kind: the format's word for it. dtype: of its first output (ONNX QDQ: as it is stored).
    role: `compute`, `fused` into the one before, `quantize`, `dequantize` of a value, or `other` (casts, shapes,
        dequantisation of constants).
    int8: whether a compute operator's data goes in and out as int8.
    macs: multiply-accumulates of one inference.
    """

    name: str
    kind: str
    dtype: str
    role: Literal["compute", "fused", "quantize", "dequantize", "other"]
    int8: bool = False
    macs: int = 0


@dataclass(kw_only=True)
class Bytes:
    """Bytes and elements of the constants by part; the graph is what is left of the file."""

    weights: int = 0
    biases: int = 0
    quantization: int = 0
    metadata: int = 0
    parameters: int = 0
    counted: set[str] = field(default_factory=set)

    def as_json(self, size_bytes: int) -> Json:
        parts = {"weights": self.weights, "biases": self.biases, "quantization": self.quantization}
        parts["metadata"] = self.metadata
        return {**parts, "graph": size_bytes - sum(parts.values())}


def summarize(operators: Sequence[Operator], parts: Bytes, size_bytes: int) -> Json:
    """The counts of `compress.export.audit.audit`; all but format, version, inputs and outputs."""
    compute = [op for op in operators if op.role == "compute"]
    integer = [op for op in compute if op.int8]
    return {
        "size_bytes": size_bytes,
        "ops": dict(sorted(Counter(op.kind for op in operators).items())),
        "ops_by_dtype": dict(sorted(Counter(op.dtype for op in compute).items())),
        "compute_ops": len(compute),
        "int8_ops": len(integer),
        "int8_op_share": len(integer) / len(compute) if compute else 0.0,
        "float_islands": [op.name for op in compute if not op.int8] if integer else [],
        "quantize_ops": sum(op.role == "quantize" for op in operators),
        "dequantize_ops": sum(op.role == "dequantize" for op in operators),
        "transposes": sum(op.kind.upper() == "TRANSPOSE" for op in operators),
        "macs": sum(op.macs for op in operators),
        "parameters": parts.parameters,
        "bytes": parts.as_json(size_bytes),
    }
