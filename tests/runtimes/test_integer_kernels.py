"""int8 files on ONNX Runtime compute their integers exactly, on whatever processor the tests run.

On x86 without VNNI, default settings fail all but the depthwise case, and `session.x64quantprecision` the gates.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from compress.export import derive, export
from compress.models.mobilenet_v3 import Bottleneck, MobileNetV3
from compress.models.vit import vit
from compress.quantize import StaticInt8, quantize
from compress.targets import open_session

Int8 = NDArray[np.int8]


def write_layer(file: Path, op: str, weights: Int8, step: float, shape: tuple[int, ...], groups: int) -> None:
    """float in, Q, DQ, the layer on int8 weights, Q, DQ, float out; every scale but the output's is 1."""
    constants = {
        "one": np.float32(1),
        "zero": np.int8(0),
        "step": np.float32(step),
        "weights": weights,
        "bias": np.zeros(len(weights), np.int32),
    }
    attributes: dict[str, int] = {"group": groups} if op == "Conv" else {"transB": 1}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "one", "zero"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "one", "zero"], ["xf"]),
        helper.make_node("DequantizeLinear", ["weights", "one", "zero"], ["wf"]),
        helper.make_node("DequantizeLinear", ["bias", "one"], ["bf"]),
        helper.make_node(op, ["xf", "wf", "bf"], ["yf"], **attributes),
        helper.make_node("QuantizeLinear", ["yf", "step", "zero"], ["yq"]),
        helper.make_node("DequantizeLinear", ["yq", "step", "zero"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), file)


def multiply(images: Int8, weights: Int8) -> NDArray[np.int64]:
    """A fully connected layer."""
    return images.astype(np.int64) @ weights.astype(np.int64).T


def slide(images: Int8, weights: Int8) -> NDArray[np.int64]:
    """A convolution without padding, or a depthwise one where filters have one channel."""
    windows = np.lib.stride_tricks.sliding_window_view(images.astype(np.int64), weights.shape[2:], (2, 3))
    terms = "ncyxhw,cihw->ncyx" if weights.shape[1] == 1 else "ncyxhw,ochw->noyx"
    return np.einsum(terms, windows, weights.astype(np.int64))


@pytest.mark.parametrize(
    ("op", "image", "weight", "groups", "oracle"),
    [
        ("Gemm", (64,), (16, 64), 1, multiply),
        ("Conv", (16, 6, 6), (16, 16, 3, 3), 1, slide),
        ("Conv", (16, 6, 6), (16, 16, 1, 1), 1, slide),
        ("Conv", (16, 6, 6), (16, 1, 3, 3), 16, slide),
    ],
    ids=["linear", "convolution", "pointwise", "depthwise"],
)
def test_products_of_the_largest_integers_are_exact(
    op: str,
    image: tuple[int, ...],
    weight: tuple[int, ...],
    groups: int,
    oracle: Callable[[Int8, Int8], NDArray[np.int64]],
    tmp_path: Path,
) -> None:
    """Half the images and filters are constant, so that nothing cancels before a sum of 16 bits overflows."""
    generator = np.random.default_rng(0)
    images = generator.choice(np.array([-128, 127], np.int8), (8, *image))
    weights = generator.choice(np.array([-127, 127], np.int8), weight)
    images[:2], images[2:4], weights[:8] = -128, 127, 127
    sums = oracle(images, weights)
    step = 2.0 ** np.ceil(np.log2(np.abs(sums).max() / 127))  # a power of two: requantising rounds only at the end
    write_layer(tmp_path / "layer.onnx", op, weights, step, image, groups)
    with open_session("host", tmp_path) as host:
        outputs = host.run(tmp_path / "layer.onnx", images.astype(np.float32))
    expected = np.rint(sums / step) * step
    np.testing.assert_array_equal(outputs, expected)
    derive("unsigned", tmp_path / "layer.onnx", tmp_path / "unsigned.onnx")
    plain = onnxruntime.InferenceSession(tmp_path / "unsigned.onnx")  # as an application opens it: without settings
    np.testing.assert_array_equal(plain.run(None, {"x": images.astype(np.float32)})[0], expected)


def test_dynamic_products_of_the_largest_integers_are_exact_if_unsigned(tmp_path: Path) -> None:
    """Rows that reach from 0 to 255 are quantised in steps of 1."""
    generator = np.random.default_rng(0)
    rows = generator.choice(np.array([0, 255]), (8, 64))
    rows[:4], rows[4:, :2] = 255, (0, 255)
    weights = generator.choice(np.array([-127, 127], np.int8), (64, 16))
    weights[:, :8] = 127
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["xq", "step", "xz"]),
        helper.make_node("MatMulInteger", ["xq", "weights", "xz", "zero"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 64])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, ["batch", 16])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.array(0, np.int8), "zero")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), tmp_path / "l.onnx")
    derive("unsigned", tmp_path / "l.onnx", tmp_path / "unsigned.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "unsigned.onnx")
    (sums,) = session.run(None, {"x": rows.astype(np.float32)})
    np.testing.assert_array_equal(sums, rows @ weights.astype(np.int64))


ROWS = (Bottleneck(3, 24, 8, True, False, 1), Bottleneck(5, 48, 8, True, True, 1))
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "gates": lambda: MobileNetV3(1, 4, 8, 2, ROWS, head=16, dropout=0.0),
    "attention": lambda: vit(in_channels=1, classes=4, image_size=12, patch_size=4, width=16, depth=1, heads=2),
}


def images_of_different_strength(n: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(n, 1, 12, 12, generator=generator) * torch.rand(n, 1, 1, 1, generator=generator)


@pytest.mark.parametrize("name", NETWORKS)
def test_int8_networks_compute_what_torch_simulates(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, batch = NETWORKS[name](), images_of_different_strength(64)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None
    nn.init.normal_(model.get_submodule("classifier").weight, std=0.5)
    with torch.no_grad():
        model.train()(batch)
    graph = quantize(model.eval(), batch[:1], StaticInt8(), batch)
    export(graph.module, graph.precision, "onnx", tmp_path / "model.onnx", batch[:1])
    with torch.no_grad():
        expected = graph.module(batch).numpy()
    with open_session("host", tmp_path) as host:
        outputs = host.run(tmp_path / "model.onnx", batch.numpy())
    step = np.diff(np.unique(expected)).min()
    assert len(np.unique(expected)) > 60
    difference = np.abs(np.rint((outputs - expected) / step))
    assert difference.max() <= 1
    assert (difference == 0).mean() > 0.97
