"""Audit of an ONNX file, read with the `onnx` package; no runtime is started."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto, shape_inference

from compress.errors import ModelError
from compress.export.audit.onnx_graph import BIAS, DATA_FIRST, Graph, dtype_name, is_qdq, is_scale
from compress.export.audit.tally import Bytes, summarize
from compress.types import Json


def audit_onnx(content: bytes, path: Path) -> Json:
    """The report of `compress.export.audit.audit` for an ONNX file."""
    try:
        model = onnx.load_model_from_string(content)
        _refuse_external_data(model, path)
        onnx.checker.check_model(model)
        inferred = shape_inference.infer_shapes(model, data_prop=True)
    except (DecodeError, ValueError, onnx.checker.ValidationError, shape_inference.InferenceError) as error:
        reason = str(error).strip().splitlines()
        raise ModelError(
            f"{path} is no valid ONNX file ({len(content)} bytes: {reason[0] if reason else type(error).__name__}); "
            "expected an ONNX or TFLite model; export or download it again"
        ) from error
    graph = Graph(inferred)
    return {
        "format": "onnx",
        "opset": next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), None),
        "inputs": [graph.spec(value.name) for value in model.graph.input if value.name not in graph.constants],
        "outputs": [graph.spec(value.name) for value in model.graph.output],
        **summarize([graph.operator(node) for node in model.graph.node], _bytes(model, graph), len(content)),
    }


def _refuse_external_data(model: ModelProto, path: Path) -> None:
    """A file whose weights lie elsewhere is valid, and yet no artifact: its size and its hash say nothing of them."""
    places = {
        entry.value
        for tensor in model.graph.initializer
        if tensor.data_location == TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    if places:
        raise ModelError(
            f"{path} keeps its weights in {', '.join(sorted(places))}; expected one file with everything in it; write"
            " it again with onnx.save(onnx.load(FILE), OTHER_FILE)"
        )


def _bytes(model: ModelProto, graph: Graph) -> Bytes:
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
            parts.weights_by_dtype[dtype_name(tensor.data_type)] += math.prod(tensor.dims)
    texts = [model.producer_name, model.producer_version, model.doc_string, model.graph.doc_string]
    texts += [text for node in model.graph.node for text in (node.doc_string, *_properties(node))]
    parts.metadata = sum(len(text.encode()) for text in (*texts, *_properties(model)))
    return parts


def _properties(message: Any) -> list[str]:
    return [text for entry in message.metadata_props for text in (entry.key, entry.value)]


def _roles(nodes: Any, graph: Graph) -> Mapping[str, str]:
    """Constant -> `weight`, `bias` or `quantization`; constants that are settings of the graph are left out."""
    roles: dict[str, str] = {}
    for node in nodes:
        for position, name in enumerate(node.input):
            if is_scale(node, position):
                if name in graph.constants:  # dynamic quantisation computes them
                    roles[name] = "quantization"
                continue
            if is_qdq(node) or node.op_type == "Cast":
                continue
            maker = graph.maker.get(name)
            through = maker is not None and (is_qdq(maker) or maker.op_type == "Cast")
            constant = maker.input[0] if maker is not None and through else name
            is_bias = position == BIAS.get(node.op_type)
            setting = not through and not is_bias and graph.is_setting(constant)
            if constant not in graph.constants or setting or (position > 0 and node.op_type in DATA_FIRST):
                continue
            roles.setdefault(constant, "bias" if is_bias or len(graph.constants[constant].dims) == 1 else "weight")
    return roles
