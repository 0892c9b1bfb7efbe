"""The convolutions and matrix products of a model file, as the matrix products that kernels make of them.

A convolution with groups = 1 is a product of (pixels x taps * channels) by (taps * channels x outputs); a depthwise one
has as many sums of `taps` products as it has pixels and channels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import onnx
from ai_edge_litert import schema_py_generated as schema


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer of a file with a batch of 1.

    height, width: of the output; 1 and 1 in a matrix product.
    outputs: output channels.
    taps: height times width of the kernel.
    channels: input channels that each output reads; 1 in a depthwise convolution.
    stride: the larger of the two.
    """

    kind: Literal["convolution", "depthwise", "linear"]
    height: int
    width: int
    outputs: int
    taps: int
    channels: int
    stride: int = 1

    @property
    def pixels(self) -> int:
        return self.height * self.width

    @property
    def macs(self) -> int:
        """What the graph asks for, products with zeros beyond the border included."""
        return self.pixels * self.outputs * self.taps * self.channels

    def __str__(self) -> str:
        return (
            f"{self.kind}: {self.height}x{self.width} pixels, {self.outputs} outputs, {self.taps} taps, "
            f"{self.channels} channels, stride {self.stride}"
        )


def read_layers(path: Path) -> list[Layer]:
    """Every layer of an .onnx or .tflite file that multiplies and accumulates, in order."""
    return _read_tflite(path) if path.suffix == ".tflite" else _read_onnx(path)


def _read_tflite(path: Path) -> list[Layer]:
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    (graph,) = model.subgraphs
    layers = []
    for op in graph.operators:
        code = model.operatorCodes[op.opcodeIndex].builtinCode
        shapes = [[int(size) for size in graph.tensors[index].shape] for index in (*op.inputs[:2], *op.outputs)]
        if code == schema.BuiltinOperator.FULLY_CONNECTED:
            layers.append(_linear(math.prod(shapes[2][:-1]), *shapes[1]))
        elif code in (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D):
            layers.append(_tflite_convolution(code, op.builtinOptions, *shapes))
    return layers


def _tflite_convolution(code: int, options: Any, image: list[int], weight: list[int], output: list[int]) -> Layer:
    """Weights are (out, height, width, in), or (1, height, width, out) of a depthwise one."""
    # Of an image with one channel the converter makes a depthwise convolution; XNNPACK computes it as any other.
    depthwise = code == schema.BuiltinOperator.DEPTHWISE_CONV_2D and image[3] > 1
    return Layer(
        kind="depthwise" if depthwise else "convolution",
        height=output[1],
        width=output[2],
        outputs=output[3],
        taps=weight[1] * weight[2],
        channels=1 if depthwise else image[3],
        stride=max(options.strideH, options.strideW),
    )


def _read_onnx(path: Path) -> list[Layer]:
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in (*graph.output, *graph.value_info)}
    shapes |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    layers = []
    for node in graph.node:
        if node.op_type == "Gemm":
            layers.append(_linear(1, *shapes[node.input[1]]))
        elif node.op_type == "Conv":
            layers.append(_onnx_convolution(node, shapes[node.input[1]], shapes[node.output[0]]))
    return layers


def _onnx_convolution(node: Any, weight: list[int], output: list[int]) -> Layer:
    """Weights are (out, in / groups, height, width)."""
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    return Layer(
        kind="depthwise" if attributes.get("group", 1) > 1 else "convolution",
        height=output[2],
        width=output[3],
        outputs=output[1],
        taps=weight[2] * weight[3],
        channels=weight[1],
        stride=max(attributes.get("strides", [1])),
    )


def _linear(rows: int, outputs: int, channels: int) -> Layer:
    return Layer(kind="linear", height=rows, width=1, outputs=outputs, taps=1, channels=channels)
