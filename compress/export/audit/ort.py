"""Audit of an .ort file: its operators, those of ONNX Runtime after optimisation, and how its weights are stored."""

from __future__ import annotations

import math
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

from compress.export.audit.onnx_graph import dtype_name
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
    stored: Counter[str] = Counter()
    for tensor in map(graph.Initializers, range(graph.InitializersLength())):
        if tensor.DimsLength() > 1:  # the others are biases, scales and settings
            stored[dtype_name(tensor.DataType())] += math.prod(map(tensor.Dims, range(tensor.DimsLength())))
    return {
        "format": "ort",
        "size_bytes": len(content),
        "ops": dict(sorted(ops.items())),
        "weights_by_dtype": dict(sorted(stored.items())),
    }
