"""Which budgets speak of what is measured of some model files alone: .tflite files on tflite-runtime, .ort files."""

from __future__ import annotations

from collections.abc import Collection

from compress.types import Budget

_OF_THE_GRAPH = ("parameters", "macs", "int8_op_share", "conversions", "transposes")
"""Read from .onnx and .tflite files."""


def find_compatible_fault(budget: Budget, name: str, key: str, targets: Collection[str]) -> tuple[str, str] | None:
    """Whether tflite-runtime is tried on this file there; targets: where it is tried at all."""
    if not name.endswith(".tflite"):
        return key, f"compatible is not measured of {name}: tflite-runtime runs .tflite files; name those"
    if (target := budget.target or "host") in targets:
        return None
    tried = f"tries it on {', '.join(targets)}" if targets else "is not set"
    where = "target" if budget.target else "metric"
    return where, f"tflite-runtime is not tried on {target}: verify.tflite_runtime {tried}; add {target} to it"


def find_ort_fault(budget: Budget, name: str, key: str) -> tuple[str, str] | None:
    """Whether the metric is measured of an .ort file, which the host only runs for its outputs."""
    if budget.metric in _OF_THE_GRAPH:
        return key, f"{budget.metric} is not read from {name}; name the .onnx file that it is made from"
    if budget.metric == "latency_ms" and budget.target in (None, "host"):
        why = "it is optimised for ARM64; name a device as target"
        return key, f"latency_ms of {name} is not measured on the host: {why}"
    return None
