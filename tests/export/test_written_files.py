"""What the files hold: the same integers and scales in both formats, and nothing of the machine that wrote them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import onnx
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from conftest import Written
from mobile_nets import images
from onnx import TensorProto, numpy_helper
from torch import nn

from compress.errors import ModelError, ToolError
from compress.export import export
from compress.export.tidy_tflite import tidy

Write = Callable[[str, str], Written]


def onnx_layers(file: Path) -> list[dict[str, Any]]:
    """Integers and scales of every convolution and linear layer, in order; weights channel-last."""
    model = onnx.load(file)
    constant = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    maker = {node.output[0]: node for node in model.graph.node}
    reader = {name: node for node in model.graph.node for name in node.input}
    layers = []
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm"):
            source, weight, bias = (maker[name] for name in node.input)
            output = reader[node.output[0]]
            output = reader[output.output[0]] if output.op_type in ("Relu", "Clip") else output
            stored = constant[weight.input[0]]
            layers.append(
                {
                    "weight": stored.transpose(0, 2, 3, 1) if stored.ndim == 4 else stored,
                    "weight_scale": constant[weight.input[1]],
                    "bias": constant[bias.input[0]],
                    "bias_scale": constant[bias.input[1]],
                    "input": (float(constant[source.input[1]]), int(constant[source.input[2]])),
                    "output": (float(constant[output.input[1]]), int(constant[output.input[2]])),
                }
            )
    return layers


def tflite_layers(file: Path) -> list[dict[str, Any]]:
    """As `onnx_layers`."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(file.read_bytes(), 0))
    (graph,) = model.subgraphs
    builtin = schema.BuiltinOperator
    layers = []
    for op in graph.operators:
        code = model.operatorCodes[op.opcodeIndex].builtinCode
        if code in (builtin.CONV_2D, builtin.DEPTHWISE_CONV_2D, builtin.FULLY_CONNECTED):
            source, weight, bias, output = (graph.tensors[i] for i in (*op.inputs, *op.outputs))
            stored = model.buffers[weight.buffer].data.view(np.int8).reshape(weight.shape)
            pairs = [(float(t.quantization.scale[0]), int(t.quantization.zeroPoint[0])) for t in (source, output)]
            layers.append(
                {
                    "weight": stored.transpose(3, 1, 2, 0) if code == builtin.DEPTHWISE_CONV_2D else stored,
                    "weight_scale": weight.quantization.scale,
                    "bias": model.buffers[bias.buffer].data.view(np.int32),
                    "bias_scale": bias.quantization.scale,
                    "input": pairs[0],
                    "output": pairs[1],
                }
            )
    return layers


@pytest.mark.parametrize("net", ["mobile", "plain", "gated"])
def test_both_formats_hold_the_same_numbers(written: Write, net: str) -> None:
    files = written(net, "static_int8")
    left, right = onnx_layers(files.onnx), tflite_layers(files.tflite)
    assert len(left) == len(right) > 4
    for first, second in zip(left, right, strict=True):
        for part in ("weight", "bias", "weight_scale"):
            np.testing.assert_array_equal(first[part], second[part])
        np.testing.assert_allclose(first["bias_scale"], second["bias_scale"], rtol=2e-7)  # one rounding of the product
        np.testing.assert_allclose(first["bias_scale"], first["input"][0] * first["weight_scale"], rtol=2e-7)
        assert (first["input"], first["output"]) == (second["input"], second["output"])
    table = [(entry["scale"], entry["zero_point"]) for entry in files.graph.qparams.values()]
    assert {layer[end] for layer in left for end in ("input", "output")} <= {
        p for p in table if isinstance(p[0], float)
    }


def test_onnx_is_one_file_with_a_dynamic_batch_and_integer_constants(written: Write) -> None:
    model = onnx.load(written("mobile", "static_int8").onnx)
    assert model.opset_import[0].version >= 20
    assert [v.name for v in (*model.graph.input, *model.graph.output)] == ["input", "logits"]
    dims = model.graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_param or dim.dim_value for dim in dims] == ["batch", 1, 28, 28]
    types = [tensor.data_type for tensor in model.graph.initializer if len(tensor.dims) > 1]
    assert types == [TensorProto.INT8] * 8
    assert not any(tensor.data_location == TensorProto.EXTERNAL for tensor in model.graph.initializer)


def test_int8_tflite_takes_and_gives_int8_channel_last(written: Write) -> None:
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(written("mobile", "static_int8").tflite.read_bytes(), 0))
    (graph,) = model.subgraphs
    ends = [graph.tensors[i] for i in (*graph.inputs, *graph.outputs)]
    assert [(t.name, list(t.shape), t.type) for t in ends] == [
        (b"input", [1, 28, 28, 1], schema.TensorType.INT8),
        (b"logits", [1, 10], schema.TensorType.INT8),
    ]


def test_tflite_data_is_aligned(written: Write) -> None:
    content = written("mobile", "float32").tflite.read_bytes()
    model = schema.Model.GetRootAs(content, 0)
    buffers = [model.Buffers(i) for i in range(model.BuffersLength())]
    starts = [buffer._tab.Vector(buffer._tab.Offset(4)) for buffer in buffers if buffer.DataLength()]
    assert len(starts) > 15
    assert [start % 16 for start in starts] == [0] * len(starts)


def test_data_behind_the_flatbuffer_is_taken_in(written: Write) -> None:
    content = written("mobile", "float32").tflite.read_bytes()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    moved = max(model.buffers, key=lambda buffer: 0 if buffer.data is None else len(buffer.data))
    data, moved.data, moved.size = moved.data.tobytes(), None, len(moved.data)
    behind = len(_pack(model, moved, 16))  # the offset does not change the length
    appended = _pack(model, moved, behind) + data
    assert tidy(appended) == tidy(content) == content


def _pack(model: Any, buffer: Any, offset: int) -> bytes:
    buffer.offset, builder = offset, flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("precision", ["float32", "float16", "static_int8"])
def test_files_say_nothing_about_their_maker(written: Write, precision: str) -> None:
    files = written("mobile", precision)
    for file in (files.onnx, files.tflite):
        content = file.read_bytes()
        for word in (b"/", b".py", b"torch", b"litert", b"MLIR"):
            text = content.replace(b"constant_", b"").replace(b"/constant", b"")
            assert word not in text or (word == b"/" and _only_binary(text))


def _only_binary(content: bytes) -> bool:
    """No path: a slash among weights stands alone, one in a path stands between letters."""
    letters = b"abcdefghijklmnopqrstuvwxyz"
    hits = [i for i, byte in enumerate(content) if byte == ord("/")]
    return not any(all(b in letters for b in content[i + 1 : i + 4]) and len(content) > i + 4 for i in hits)


CHILD = """
import hashlib, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from mobile_nets import Mobile, build, images
from compress.export import export
from compress.quantize import StaticInt8, quantize
graph = quantize(build(Mobile), images(1), StaticInt8(), images(128))
for fmt in ("onnx", "tflite"):
    file = Path(sys.argv[2]) / fmt
    export(graph.module, "static_int8", fmt, file, images(1))
    print(hashlib.sha256(file.read_bytes()).hexdigest())
"""


def test_another_process_writes_the_same_bytes_and_says_nothing(written: Write, tmp_path: Path) -> None:
    files = written("mobile", "static_int8")
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "11", "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=tmp_path,
    )
    expected = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (files.onnx, files.tflite)]
    assert child.stdout.splitlines() == expected
    assert child.stderr == ""


def test_an_unwritable_place_is_a_tool_error_and_leaves_nothing(tmp_path: Path) -> None:
    blocked = tmp_path / "model.onnx"
    blocked.mkdir()
    with pytest.raises(ToolError, match="cannot write"):
        export(nn.Conv2d(1, 2, 3), "float32", "onnx", blocked, images(1))
    assert list(tmp_path.iterdir()) == [blocked]


def test_operators_that_a_format_lacks_are_a_model_error(tmp_path: Path) -> None:
    model = nn.ConvTranspose2d(1, 2, 3, 2, 1, output_padding=1).eval()
    with pytest.raises(ModelError, match="litert_torch refuses"), torch.no_grad():
        export(model, "float32", "tflite", tmp_path / "model.tflite", images(1))
    assert list(tmp_path.iterdir()) == []
