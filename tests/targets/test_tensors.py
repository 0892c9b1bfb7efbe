"""Layout and quantisation of inputs and outputs, against ONNX Runtime's own operators."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from compress.errors import DataError, ModelError
from compress.targets import decode, encode
from compress.types import TensorSpec


def make_spec(shape: tuple[int | None, ...], dtype: str = "float32", **quantisation: float) -> TensorSpec:
    return TensorSpec(name="x", shape=shape, dtype=dtype, **quantisation)  # type: ignore[arg-type]


def run_operator(name: str, x: np.ndarray, scale: float, zero_point: int, dtype: str) -> np.ndarray:
    """QuantizeLinear or DequantizeLinear of ONNX Runtime."""
    kind = {"float32": TensorProto.FLOAT, "int8": TensorProto.INT8, "uint8": TensorProto.UINT8}
    stored = kind[dtype]
    graph = helper.make_graph(
        [helper.make_node(name, ["x", "scale", "zero"], ["y"])],
        "one",
        [helper.make_tensor_value_info("x", kind[x.dtype.name], x.shape)],
        [helper.make_tensor_value_info("y", stored if name == "QuantizeLinear" else TensorProto.FLOAT, x.shape)],
        [
            helper.make_tensor("scale", TensorProto.FLOAT, [], [scale]),
            helper.make_tensor("zero", stored, [], [zero_point]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    output: np.ndarray = session.run(None, {"x": x})[0]
    return output


QUANTISATIONS = [("int8", 0.05, -3), ("int8", 0.5, 0), ("uint8", 0.0157, 128), ("int8", 1 / 255, -128)]


@pytest.mark.parametrize(("dtype", "scale", "zero_point"), QUANTISATIONS)
def test_encode_quantises_as_onnx_does(dtype: str, scale: float, zero_point: int) -> None:
    rng = np.random.default_rng(0)
    images = rng.uniform(-10, 10, (2, 3, 8, 8)).astype(np.float32)
    images[0, 0, 0] = np.arange(8, dtype=np.float32) * np.float32(scale) / 2  # ties
    images[0, 0, 1] = 1e9
    images[0, 0, 2] = -1e9
    encoded = encode(make_spec((1, 3, 8, 8), dtype, scale=scale, zero_point=zero_point), images)
    np.testing.assert_array_equal(encoded, run_operator("QuantizeLinear", images, scale, zero_point, dtype))


@pytest.mark.parametrize(("dtype", "scale", "zero_point"), QUANTISATIONS)
def test_decode_dequantises_as_onnx_does(dtype: str, scale: float, zero_point: int) -> None:
    limits = np.iinfo(dtype)
    raw = np.arange(limits.min, limits.max + 1).astype(dtype).reshape(2, -1)
    decoded = decode(make_spec((1, 128), dtype, scale=scale, zero_point=zero_point), raw)
    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(decoded, run_operator("DequantizeLinear", raw, scale, zero_point, dtype))


LAYOUTS = [
    ((None, 3, 4, 5), False),
    ((1, 3, 4, 5), False),
    ((1, 4, 5, 3), True),
    ((None, None, None, 3), True),
    ((None, 3, None, None), False),
]


@pytest.mark.parametrize(("shape", "channel_last"), LAYOUTS)
def test_encode_arranges_as_the_model_does(shape: tuple[int | None, ...], channel_last: bool) -> None:
    images = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    encoded = encode(make_spec(shape), images)
    expected = images.transpose(0, 2, 3, 1) if channel_last else images
    np.testing.assert_array_equal(encoded, expected)
    assert encoded.flags.c_contiguous


def test_float16_inputs() -> None:
    images = np.array([[[[0.1, 65504.0]]]], np.float32)
    assert encode(make_spec((1, 1, 1, 2), "float16"), images).dtype == np.float16


def test_images_that_fit_neither_layout() -> None:
    with pytest.raises(ModelError, match=r"input 'x' has the shape \(1, 3, 9, 9\), expected \(None, 3, 4, 5\) or"):
        encode(make_spec((1, 3, 9, 9)), np.zeros((2, 3, 4, 5), np.float32))


def test_images_that_fit_both_layouts() -> None:
    with pytest.raises(ModelError, match="channel-first and channel-last"):
        encode(make_spec((None, None, None, None)), np.zeros((1, 3, 4, 5), np.float32))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite(bad: float) -> None:
    images = np.zeros((3, 1, 2, 2), np.float32)
    images[2, 0, 1, 1] = bad
    with pytest.raises(DataError, match="image 2 of 3"):
        encode(make_spec((1, 1, 2, 2)), images)
