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
    int8: whether a compute operator computes on integers: its data goes in and out as int8 or uint8, or it is one of
        ONNX's own integer products.
    runs: whether a quantisation or dequantisation takes place at run time; runtimes fuse most of ONNX's.
    macs: multiply-accumulates of one inference; None of a kind, or for a shape, that the reader does not know.
    """

    name: str
    kind: str
    dtype: str
    role: Literal["compute", "fused", "quantize", "dequantize", "other"]
    int8: bool = False
    runs: bool = True
    macs: int | None = 0


@dataclass(kw_only=True)
class Bytes:
    """Bytes and elements of the constants by part; the graph is what is left of the file."""

    weights: int = 0
    biases: int = 0
    quantization: int = 0
    metadata: int = 0
    parameters: int = 0
    weights_by_dtype: Counter[str] = field(default_factory=Counter)
    counted: set[str] = field(default_factory=set)

    def as_json(self, size_bytes: int) -> Json:
        parts = {"weights": self.weights, "biases": self.biases, "quantization": self.quantization}
        parts["metadata"] = self.metadata
        return {**parts, "graph": size_bytes - sum(parts.values())}


def summarize(operators: Sequence[Operator], parts: Bytes, size_bytes: int) -> Json:
    """The counts of `compress.export.audit.audit`; all but format, version, inputs and outputs."""
    compute = [op for op in operators if op.role == "compute"]
    integer = [op for op in compute if op.int8]
    conversions = [op for op in operators if op.role in ("quantize", "dequantize")]
    unknown = [op for op in operators if op.macs is None]
    return {
        "size_bytes": size_bytes,
        "ops": dict(sorted(Counter(op.kind for op in operators).items())),
        "ops_by_dtype": dict(sorted(Counter(op.dtype for op in compute).items())),
        "compute_ops": len(compute),
        "int8_ops": len(integer),
        "int8_op_share": len(integer) / len(compute) if compute else 0.0,
        "float_islands": [op.name for op in compute if not op.int8] if integer else [],
        "quantize_ops": sum(op.role == "quantize" for op in conversions),
        "dequantize_ops": sum(op.role == "dequantize" for op in conversions),
        "conversions": sum(op.runs for op in conversions),
        "transposes": sum(op.kind.upper() == "TRANSPOSE" for op in operators),
        "macs": sum(op.macs or 0 for op in operators),
        "unknown_ops": dict(sorted(Counter(op.kind for op in unknown).items())),
        "parameters": parts.parameters,
        "weights_by_dtype": dict(sorted(parts.weights_by_dtype.items())),
        "bytes": parts.as_json(size_bytes),
    }
