"""Audit of an .ort file: its operators, which are ONNX Runtime's own after optimisation."""

from __future__ import annotations

from collections import Counter

from compress.types import Json


def audit_ort(content: bytes) -> Json:
    """The report of `compress.export.audit.audit` for an .ort file."""
    from onnxruntime.tools import ort_format_model  # noqa: F401 (it puts the format's schema on the import path)
    from ort_flatbuffers_py.fbs.InferenceSession import InferenceSession

    graph = InferenceSession.GetRootAs(bytearray(content), 0).Model().Graph()
    ops = Counter(graph.Nodes(number).OpType().decode() for number in range(graph.NodesLength()))
    return {"format": "ort", "size_bytes": len(content), "ops": dict(sorted(ops.items()))}
