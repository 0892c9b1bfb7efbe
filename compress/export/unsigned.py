"""uint8 in the place of int8 in an ONNX file: the same integers, all 128 higher, and so the same numbers.

For applications on x86 that set no options. There ONNX Runtime turns int8 activations into uint8 by itself and leaves
the weights, and processors without VNNI add two such products in 16 bits, which saturate (ADR 4). Of uint8 activations
and uint8 weights it makes products that it adds in 32 bits.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

OFFSET = 128
INTEGERS = {"QuantizeLinear": (2,), "DequantizeLinear": (0, 2), "MatMulInteger": (1, 3)}
"""Operator -> its inputs that are integers and their zero points, where they are constants."""


def to_unsigned(content: bytes) -> bytes:
    """The same model with uint8 activations and weights; biases stay int32, and tables of embeddings int8.

    Args:
        content: an ONNX file as `compress.export.export` writes it: every int8 operand has a zero point.
    """
    model = onnx.load_model_from_string(content)
    operands = {
        node.input[position]
        for node in model.graph.node
        for position in INTEGERS.get(node.op_type, ())
        if position < len(node.input)
    }
    for tensor in model.graph.initializer:
        if tensor.name in operands and tensor.data_type == TensorProto.INT8:
            higher = numpy_helper.to_array(tensor).astype(np.int16) + OFFSET
            tensor.CopyFrom(numpy_helper.from_array(higher.astype(np.uint8), tensor.name))
    return bytes(model.SerializeToString(deterministic=True))
