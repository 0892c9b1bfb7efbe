"""A convolution and a fully connected layer, written straight into each file format, without any converter.

x (8, 16, 16) -> 3x3 convolution to 16 channels, padded -> ReLU -> flatten -> 16 values. Weights come from one seed.
"""

from __future__ import annotations

from pathlib import Path

import flatbuffers
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as tfl
from onnx import TensorProto, helper, numpy_helper

CHANNELS, SIZE, FILTERS, CLASSES = 8, 16, 16, 16
DENSE_MACS = SIZE * SIZE * FILTERS * CLASSES
MACS = SIZE * SIZE * FILTERS * CHANNELS * 9 + DENSE_MACS
INPUT_SCALE, INPUT_ZERO = 0.05, -3
HIDDEN_SCALE, HIDDEN_ZERO = 0.25, -128
OUTPUT_SCALE, OUTPUT_ZERO = 4.0, 5
WEIGHT_SCALE = 0.01
SCALES = {
    "conv": WEIGHT_SCALE,
    "conv_bias": INPUT_SCALE * WEIGHT_SCALE,
    "dense": WEIGHT_SCALE,
    "dense_bias": HIDDEN_SCALE * WEIGHT_SCALE,
}


def images(n: int, seed: int = 0) -> np.ndarray:
    """(n, CHANNELS, SIZE, SIZE) float32, within the range of the quantised input."""
    return np.random.default_rng(seed).uniform(-5, 5, (n, CHANNELS, SIZE, SIZE)).astype(np.float32)


def weights() -> dict[str, np.ndarray]:
    """int8 weights, channel-last (filters, 3, 3, channels) and (classes, inputs), and int32 biases."""
    rng = np.random.default_rng(1)
    return {
        "conv": rng.integers(-127, 128, (FILTERS, 3, 3, CHANNELS), dtype=np.int8),
        "conv_bias": rng.integers(-1000, 1000, FILTERS, dtype=np.int32),
        "dense": rng.integers(-20, 21, (CLASSES, SIZE * SIZE * FILTERS), dtype=np.int8),
        "dense_bias": rng.integers(-1000, 1000, CLASSES, dtype=np.int32),
    }


def compute(images: np.ndarray) -> np.ndarray:
    """The float network in float64, from its definition: (n, CHANNELS, SIZE, SIZE) -> (n, CLASSES)."""
    values = {name: value.astype(np.float64) * SCALES[name] for name, value in weights().items()}
    padded = np.pad(images.transpose(0, 2, 3, 1).astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    hidden = np.einsum("nhwckl,fklc->nhwf", windows, values["conv"]) + values["conv_bias"]
    return np.maximum(hidden, 0).reshape(len(images), -1) @ values["dense"].T + values["dense_bias"]


def write_onnx(path: Path, batch: int | str = "batch") -> Path:
    """The float network, channel-first."""
    values = {name: value.astype(np.float32) * np.float32(SCALES[name]) for name, value in weights().items()}
    values["conv"] = np.ascontiguousarray(values["conv"].transpose(0, 3, 1, 2))
    channel_last = values["dense"].reshape(CLASSES, SIZE, SIZE, FILTERS)
    values["dense"] = channel_last.transpose(0, 3, 1, 2).reshape(CLASSES, -1)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["input", "conv", "conv_bias"], ["convolved"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["convolved"], ["hidden"]),
            helper.make_node("Flatten", ["hidden"], ["flat"]),
            helper.make_node("Gemm", ["flat", "dense", "dense_bias"], ["logits"], transB=1),
        ],
        "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, CHANNELS, SIZE, SIZE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def write_tflite(
    path: Path, *, quantised: bool, inputs: int = 1, dense: int = tfl.BuiltinOperator.FULLY_CONNECTED
) -> Path:
    """The network, channel-last; fully integer, or float with the same real weights.

    inputs: more than 1 adds inputs that nothing reads.
    dense: the operator that the last layer is said to be. LiteRT trusts its options to be those of SPLIT, if it is
        said to be one, and dies of a null pointer.
    """
    model = tfl.ModelT()
    model.version = 3
    model.buffers = [_buffer(None)]
    graph = tfl.SubGraphT()
    graph.tensors = []
    kind = np.int8 if quantised else np.float32

    def tensor(name: str, shape: tuple[int, ...], scale: float, zero: int, data: np.ndarray | None = None) -> int:
        item = tfl.TensorT()
        item.name, item.shape = name, list(shape)
        if data is not None and not quantised:
            data = data.astype(np.float32) * np.float32(SCALES[name])
        item.type = _TYPES[np.dtype(kind if data is None else data.dtype)]
        if quantised:
            item.quantization = tfl.QuantizationParametersT()
            item.quantization.scale, item.quantization.zeroPoint = [scale], [zero]
        item.buffer = 0 if data is None else len(model.buffers)
        if data is not None:
            model.buffers.append(_buffer(data))
        graph.tensors.append(item)
        return len(graph.tensors) - 1

    w = weights()
    x = tensor("input", (1, SIZE, SIZE, CHANNELS), INPUT_SCALE, INPUT_ZERO)
    conv_weights = tensor("conv", w["conv"].shape, SCALES["conv"], 0, w["conv"])
    conv_bias = tensor("conv_bias", (FILTERS,), SCALES["conv_bias"], 0, w["conv_bias"])
    hidden = tensor("hidden", (1, SIZE, SIZE, FILTERS), HIDDEN_SCALE, HIDDEN_ZERO)
    dense_weights = tensor("dense", w["dense"].shape, SCALES["dense"], 0, w["dense"])
    dense_bias = tensor("dense_bias", (CLASSES,), SCALES["dense_bias"], 0, w["dense_bias"])
    logits = tensor("logits", (1, CLASSES), OUTPUT_SCALE, OUTPUT_ZERO)
    more = [tensor(f"unused{k}", (1, 4), 1.0, 0) for k in range(inputs - 1)]
    graph.inputs, graph.outputs = [x, *more], [logits]
    graph.operators = [_conv([x, conv_weights, conv_bias], hidden), _dense([hidden, dense_weights, dense_bias], logits)]
    model.subgraphs = [graph]
    model.operatorCodes = [_code(tfl.BuiltinOperator.CONV_2D, 3), _code(dense, 4)]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())
    return path


_TYPES = {
    np.dtype(np.int8): tfl.TensorType.INT8,
    np.dtype(np.int32): tfl.TensorType.INT32,
    np.dtype(np.float32): tfl.TensorType.FLOAT32,
}


def _buffer(data: np.ndarray | None) -> tfl.BufferT:
    buffer = tfl.BufferT()
    buffer.data = None if data is None else np.frombuffer(data.tobytes(), np.uint8)
    return buffer


def _code(builtin: int, version: int) -> tfl.OperatorCodeT:
    code = tfl.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = builtin
    code.version = version
    return code


def _conv(inputs: list[int], output: int) -> tfl.OperatorT:
    operator = tfl.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, inputs, [output]
    operator.builtinOptionsType = tfl.BuiltinOptions.Conv2DOptions
    options = operator.builtinOptions = tfl.Conv2DOptionsT()
    options.padding, options.fusedActivationFunction = tfl.Padding.SAME, tfl.ActivationFunctionType.RELU
    options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
    return operator


def _dense(inputs: list[int], output: int) -> tfl.OperatorT:
    operator = tfl.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 1, inputs, [output]
    operator.builtinOptionsType = tfl.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = tfl.FullyConnectedOptionsT()
    return operator


def write_graph(path: Path, node: onnx.NodeProto, kind: int, constants: dict[str, np.ndarray]) -> Path:
    """One node from x (1, 4) to y (1, 4)."""
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", kind, [1, 4])],
        [helper.make_tensor_value_info("y", kind, [1, 4])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def write_hanging(path: Path) -> Path:
    """Loops 2 to the 60th times."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Neg", ["a"], ["b"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("a", TensorProto.FLOAT, [1, 4]),
        ],
        [
            helper.make_tensor_value_info("d", TensorProto.BOOL, []),
            helper.make_tensor_value_info("b", TensorProto.FLOAT, [1, 4]),
        ],
    )
    constants = {"times": np.array(2**60, np.int64), "go": np.array(True)}
    node = helper.make_node("Loop", ["times", "go", "x"], ["y"], body=body)
    return write_graph(path, node, TensorProto.FLOAT, constants)
