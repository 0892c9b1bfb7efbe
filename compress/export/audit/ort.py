"""Audit of an .ort file: its operators, which are ONNX Runtime's own after optimisation."""

from __future__ import annotations

import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

from compress.types import Json


def audit_ort(content: bytes) -> Json:
    """The report of `compress.export.audit.audit` for an .ort file."""
    # The format's schema comes with the runtime's tools, which take seconds to import; it needs none of them.
    package = find_spec("onnxruntime")
    assert package is not None
    assert package.origin is not None
    sys.path.append(str(Path(package.origin).parent / "tools" / "ort_format_model"))
    from ort_flatbuffers_py.fbs.InferenceSession import InferenceSession

    graph = InferenceSession.GetRootAs(bytearray(content), 0).Model().Graph()
    ops = Counter(graph.Nodes(number).OpType().decode() for number in range(graph.NodesLength()))
    return {"format": "ort", "size_bytes": len(content), "ops": dict(sorted(ops.items()))}
