"""Puts the integers of stored weights into an ONNX file that was converted from their carrier.

- Dynamic: DynamicQuantizeLinear and MatMulInteger, spelt as ONNX Runtime's own quantiser does, so that it fuses them.
- Weight-only int8: Cast and Mul, which ONNX Runtime computes once, while it loads the file. It would make one product
  of DequantizeLinear and MatMul that stores the activations as int8 in blocks (4 dB less on a ViT, as fast as float).
- Weight-only int4: DequantizeLinear by blocks and MatMul, which become that product.
- An embedding gathers integers and scales of its tokens; 4-bit ones by ONNX Runtime's GatherBlockQuantized, because its
  Gather has no 4-bit type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from compress.errors import ModelError
from compress.export.stored_weights import StoredWeight, pack_int4

INT4_OPSET = 21
"""The first with 4-bit tensors and scales per block."""
_CONTRIB = "com.microsoft"


def restore_weights(model: ModelProto, weights: Sequence[StoredWeight]) -> None:
    """Rewrite `model` in place.

    Args:
        model: converted from `make_carrier`'s graph.
        weights: what the carrier was made from.

    Raises:
        ModelError: a layer did not come through the converter as one product or lookup.
    """
    by_number = {weight.number: weight for weight in weights}
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    writer = _Writer()
    carried: dict[str, StoredWeight] = {}
    for node in model.graph.node:
        number = _number(node, constants)
        if number is not None:
            carried[node.output[0]] = by_number[number]
        elif node.op_type == "Transpose" and node.input[0] in carried:
            carried[node.output[0]] = carried[node.input[0]]
        elif node.op_type in ("MatMul", "Gemm") and node.input[1] in carried:
            writer.linear(node, carried[node.input[1]])
        elif node.op_type == "Gather" and node.input[0] in carried:
            writer.embedding(node, carried[node.input[0]])
        else:
            writer.nodes.append(node)
    _check_all_done(writer, weights, carried)
    _replace_nodes(model, writer)


def _number(node: NodeProto, constants: Mapping[str, TensorProto]) -> int | None:
    """Which layer's weight the node dequantises, None for any other node."""
    if node.op_type != "DequantizeLinear" or node.input[0] not in constants:
        return None
    return int(numpy_helper.to_array(constants[node.input[1]])[0])


def _check_all_done(writer: _Writer, weights: Sequence[StoredWeight], carried: Mapping[str, StoredWeight]) -> None:
    lost = [weight.name for weight in weights if weight.number not in writer.done]
    lost += [carried[name].name for node in writer.nodes for name in node.input if name in carried]
    if lost:
        raise ModelError(
            f"torch.onnx.export turned {lost[0]} into something else than a product or a lookup; expected one MatMul, "
            "Gemm or Gather a layer; use float16, or export to tflite only"
        )


def _replace_nodes(model: ModelProto, writer: _Writer) -> None:
    read = {name for node in writer.nodes for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(writer.nodes)
    model.graph.initializer.extend([*kept, *writer.constants.values()])
    if any(node.domain == _CONTRIB for node in writer.nodes):
        model.opset_import.append(helper.make_opsetid(_CONTRIB, 1))


class _Writer:
    """The new nodes and constants. done: numbers of the layers written."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, TensorProto] = {}
        self.done: set[int] = set()
        self._stored: dict[str, tuple[str, str, str]] = {}  # an input -> its integers, scale, zero point

    def linear(self, node: NodeProto, weight: StoredWeight) -> None:
        """In place of a MatMul by the transposed weight, or of a Gemm with or without bias."""
        product = self._dynamic_product if weight.dynamic else self._weight_only_product
        output, bias = node.output[0], node.input[2] if len(node.input) > 2 else None
        product(node.input[0], weight, output if bias is None else f"{output}_product")
        if bias is not None:
            self._add("Add", [f"{output}_product", bias], output)
        self.done.add(weight.number)

    def embedding(self, node: NodeProto, weight: StoredWeight) -> None:
        """In place of a Gather of rows."""
        output, ids, name = node.output[0], node.input[1], f"{weight.name}_table"
        scales = weight.scales.reshape(len(weight.integers), -1)
        if weight.block_size is not None:
            table = [self._int4(name, weight.integers), ids, self._constant(f"{name}_scale", scales)]
            block = {"gather_axis": 0, "quantize_axis": 1, "block_size": weight.block_size, "bits": 4}
            self.nodes.append(helper.make_node("GatherBlockQuantized", table, [output], domain=_CONTRIB, **block))
        else:
            table = [self._constant(name, weight.integers), ids]
            rows = self._add(
                "Cast", [self._add("Gather", table, f"{output}_int8")], f"{output}_rows", to=TensorProto.FLOAT
            )
            scale = self._add("Gather", [self._constant(f"{name}_scale", scales), ids], f"{output}_scale")
            self._add("Mul", [rows, scale], output)
        self.done.add(weight.number)

    def _dynamic_product(self, source: str, weight: StoredWeight, output: str) -> None:
        if source not in self._stored:
            names = (f"{source}_stored", f"{source}_scale", f"{source}_zero")
            self.nodes.append(helper.make_node("DynamicQuantizeLinear", [source], names))
            self._stored[source] = names
        stored, scale, zero = self._stored[source]
        integers = self._constant(weight.name, weight.integers.T)
        weight_zero = self._constant(f"{weight.name}_zero", np.zeros((), np.int8))
        weight_scale = self._constant(f"{weight.name}_scale", weight.scales)
        sums = self._add("MatMulInteger", [stored, integers, zero, weight_zero], f"{output}_int32")
        step = self._add("Mul", [scale, weight_scale], f"{output}_step")
        self._add("Mul", [self._add("Cast", [sums], f"{output}_sums", to=TensorProto.FLOAT), step], output)

    def _weight_only_product(self, source: str, weight: StoredWeight, output: str) -> None:
        scale = self._constant(f"{weight.name}_scale", weight.scales.T)
        if weight.block_size is not None:
            steps = [self._int4(weight.name, weight.integers.T), scale]
            real = self._add("DequantizeLinear", steps, f"{output}_weight", axis=0, block_size=weight.block_size)
        else:
            steps = [self._constant(weight.name, weight.integers.T)]
            real = self._add("Cast", steps, f"{output}_steps", to=TensorProto.FLOAT)
            real = self._add("Mul", [real, scale], f"{output}_weight")
        self._add("MatMul", [source, real], output)

    def _add(self, kind: str, inputs: Sequence[str], output: str, **attributes: int) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def _constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def _int4(self, name: str, value: NDArray[np.int8]) -> str:
        packed = pack_int4(np.ascontiguousarray(value))
        self.constants[name] = helper.make_tensor(name, TensorProto.INT4, value.shape, packed, raw=True)
        return name
