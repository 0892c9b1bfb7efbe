"""Variants hold the integers of the file that they are made from, and compute the same under the same runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter
from conftest import Written, run_onnx, run_tflite
from mobile_nets import images
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from compress.errors import ModelError
from compress.export import OPERATORS, derive
from compress.export.audit import audit

Write = Callable[[str, str], Written]
IMAGES = images(96)


def run_plainly(file: Path, **options: Any) -> NDArray[np.float32]:
    """ONNX Runtime as an application opens a file: with no setting of its own."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"], **options)
    logits: NDArray[np.float32] = session.run(None, {"input": IMAGES.numpy()})[0]
    return logits


@pytest.mark.parametrize("net", ["mobile", "gated"])
def test_unsigned_is_128_higher_and_computes_the_same_without_settings(
    written: Write, net: str, tmp_path: Path
) -> None:
    signed = written(net, "static_int8").onnx
    derive("unsigned", signed, tmp_path / "model.onnx")
    before, after = onnx.load(signed), onnx.load(tmp_path / "model.onnx")
    assert list(after.graph.node) == list(before.graph.node)
    assert [tensor.name for tensor in after.graph.initializer] == [tensor.name for tensor in before.graph.initializer]
    shifted = 0
    for old, new in zip(before.graph.initializer, after.graph.initializer, strict=True):
        higher = 128 * (old.data_type == TensorProto.INT8)
        shifted += bool(higher)
        assert (new.data_type == TensorProto.UINT8) == bool(higher)
        np.testing.assert_array_equal(
            numpy_helper.to_array(new).astype(int), numpy_helper.to_array(old).astype(int) + higher
        )
    assert shifted > 15
    zero_points = {node.input[2] for node in after.graph.node if node.op_type == "QuantizeLinear"}
    types = {tensor.name: tensor.data_type for tensor in after.graph.initializer}
    assert {types[name] for name in zero_points} == {TensorProto.UINT8}
    np.testing.assert_array_equal(run_plainly(tmp_path / "model.onnx"), run_onnx(signed, IMAGES))


@pytest.fixture(scope="module")
def ort(written: Write, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("ort") / "model.ort"
    derive("ort", written("mobile", "static_int8").onnx, file)
    return file


def test_ort_computes_what_the_onnx_file_does(written: Write, ort: Path) -> None:
    np.testing.assert_array_equal(run_onnx(ort, IMAGES), run_onnx(written("mobile", "static_int8").onnx, IMAGES))
    found = audit(ort)
    assert found["format"] == "ort"
    assert {"QLinearConv", "QuantizeLinear"} <= found["ops"].keys()
    assert not {"Conv", "Gemm"} & found["ops"].keys()  # the layers are fused to integer ones already


def test_ort_of_float32_differs_by_the_layout_of_x86_alone(written: Write, tmp_path: Path) -> None:
    source = written("mobile", "float32").onnx
    derive("ort", source, tmp_path / "model.ort")
    ours = run_plainly(tmp_path / "model.ort")
    np.testing.assert_array_equal(ours, run_plainly(source, disabled_optimizers=["NchwcTransformer"]))
    np.testing.assert_allclose(ours, run_plainly(source), atol=1e-5)


def test_a_reduced_build_is_told_each_operator_and_type(ort: Path) -> None:
    text = ort.with_name(OPERATORS).read_text()
    head, *lines = text.splitlines()
    assert head.startswith("#")
    for operator in audit(ort)["ops"]:
        assert any(f";{operator}" in line or f",{operator}" in line for line in lines), operator
    assert '"int8_t"' in text


def test_ort_comes_out_the_same_and_says_nothing_of_the_machine(written: Write, ort: Path, tmp_path: Path) -> None:
    derive("ort", written("mobile", "static_int8").onnx, tmp_path / "again.ort")
    for file in (ort, ort.with_name(OPERATORS)):
        assert (tmp_path / file.name.replace("model", "again")).read_bytes() == file.read_bytes()
        assert b"/tmp" not in file.read_bytes()


def test_what_the_converter_refuses_is_a_model_error(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\x99" * 64)
    with pytest.raises(ModelError, match=r"model.onnx: ONNX Runtime's converter to .ort ended with status 1: .+ leave"):
        derive("ort", tmp_path / "model.onnx", tmp_path / "model.ort")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_float_io_quantises_at_its_ends(written: Write, tmp_path: Path) -> None:
    integer = written("mobile", "static_int8").tflite
    derive("float_io", integer, tmp_path / "model.tflite")
    before, after = audit(integer), audit(tmp_path / "model.tflite")
    for old, new in zip(before["inputs"] + before["outputs"], after["inputs"] + after["outputs"], strict=True):
        assert (old["name"], old["shape"]) == (new["name"], new["shape"])
        assert (old["dtype"], new["dtype"], new["scale"]) == ("int8", "float32", None)
    assert (after["quantize_ops"], after["dequantize_ops"]) == (
        before["quantize_ops"] + 1,
        before["dequantize_ops"] + 1,
    )
    assert after["int8_ops"] == before["int8_ops"]
    np.testing.assert_array_equal(run_tflite(tmp_path / "model.tflite", IMAGES), run_tflite(integer, IMAGES))
    signature = Interpreter(str(tmp_path / "model.tflite")).get_signature_runner()
    (details,) = signature.get_input_details().values()
    assert details["dtype"] == np.float32
