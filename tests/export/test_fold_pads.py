"""Pads before integer convolutions: which go into the convolution, and that the file computes the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from compress.export.fold_pads import fold_pads

EDGES = [0, 0, 0, 0, 0, 0, 1, 1]


def write(
    edges: list[int] = EDGES, value: float = 0.0, after: float = 0.05, reads_pad_too: bool = False, own: int = 0
) -> ModelProto:
    """Image, rounded, padded, rounded by the scale `after`, and a convolution of stride 2 that pads by `own` itself."""
    weight = np.random.default_rng(0).normal(size=(2, 3, 3, 3)).astype(np.float32)
    constants = {
        "scale": np.float32(0.05),
        "after": np.float32(after),
        "zero": np.int8(-7),
        "edges": np.array(edges),
        "value": np.float32(value),
        "weight": weight,
    }
    conv = helper.make_node("Conv", ["dq2", "weight"], ["conv"], strides=[2, 2], pads=[own] * 4)
    second = "scale" if after == 0.05 else "after"
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "scale", "zero"], ["q1"]),
        helper.make_node("DequantizeLinear", ["q1", "scale", "zero"], ["dq1"]),
        helper.make_node("Pad", ["dq1", "edges", "value"], ["pad"]),
        helper.make_node("QuantizeLinear", ["pad", second, "zero"], ["q2"]),
        helper.make_node("DequantizeLinear", ["q2", second, "zero"], ["dq2"]),
        conv,
    ]
    outputs = ["conv", "dq2"] if reads_pad_too else ["conv"]
    graph = helper.make_graph(
        nodes,
        "main",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 6, 6])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model: ModelProto) -> Any:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(1).normal(size=(1, 3, 6, 6)).astype(np.float32)
    return session.run(["conv"], {"image": image})[0]


@pytest.mark.parametrize(
    ("arguments", "folds"),
    [
        ({}, True),
        ({"edges": [0, 0, 2, 1, 0, 0, 0, 3], "own": 1}, True),
        ({"value": 1.0}, False),
        ({"after": 0.1}, False),
        ({"reads_pad_too": True}, False),
        ({"edges": [0, 0, -1, 0, 0, 0, 1, 1]}, False),
    ],
)
def test_zeros_become_the_convolutions_own(arguments: dict[str, Any], folds: bool) -> None:
    model = write(**arguments)
    expected = run(model)
    fold_pads(model)
    kinds = [node.op_type for node in model.graph.node]
    assert ("Pad" not in kinds) == folds
    assert len(kinds) == (3 if folds else 6)
    np.testing.assert_array_equal(run(model), expected)
