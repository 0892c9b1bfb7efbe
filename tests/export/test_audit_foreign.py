"""Audits of files that other tools wrote: each figure against the network's own arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as tfl
from onnx import TensorProto, helper, numpy_helper

from compress.bench import _precision
from compress.bench_print import _describe_macs
from compress.errors import ModelError
from compress.export.audit import audit
from tests.targets.tiny_models import MACS, write_onnx, write_tflite


def altered(file: Path, alter: Callable[[Any], None]) -> Path:
    """The TFLite file with something changed in it."""
    model = tfl.ModelT.InitFromObj(tfl.Model.GetRootAs(file.read_bytes(), 0))
    alter(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    file.write_bytes(builder.Output())
    return file


def forget_builtin_codes(model: Any) -> None:
    for code in model.operatorCodes:
        code.builtinCode = 0


def make_unsigned(model: Any) -> None:
    for tensor in model.subgraphs[0].tensors:
        if tensor.type == tfl.TensorType.INT8:
            tensor.type = tfl.TensorType.UINT8


def make_custom(model: Any) -> None:
    code = model.operatorCodes[1]
    code.builtinCode = code.deprecatedBuiltinCode = tfl.BuiltinOperator.CUSTOM
    code.customCode = "Fused"


def add_a_branch(model: Any) -> None:
    model.subgraphs.append(model.subgraphs[0])


def leave_out_what_is_zero_or_empty(model: Any) -> None:
    for tensor in model.subgraphs[0].tensors:
        tensor.quantization.zeroPoint = None


@pytest.mark.parametrize(
    "alter", [lambda _: None, forget_builtin_codes, make_unsigned, add_a_branch, leave_out_what_is_zero_or_empty]
)
def test_a_tflite_file_of_another_writer(tmp_path: Path, alter: Callable[[Any], None]) -> None:
    report = audit(altered(write_tflite(tmp_path / "model.tflite", quantised=True), alter))
    assert report["ops"] == {"CONV_2D": 1, "FULLY_CONNECTED": 1}
    assert (report["macs"], report["unknown_ops"]) == (MACS, {})
    assert (report["compute_ops"], report["int8_op_share"], report["conversions"]) == (2, 1.0, 0)
    assert _precision(report) == "static_int8"


def test_a_kind_that_is_not_known_is_called_unknown(tmp_path: Path) -> None:
    report = audit(altered(write_tflite(tmp_path / "model.tflite", quantised=False), make_custom))
    assert report["unknown_ops"] == {"CUSTOM Fused": 1}
    assert 0 < report["macs"] < MACS
    assert _describe_macs(report) == f"at least {report['macs']:,} MACs (unknown: those of 1 CUSTOM Fused)"
    assert _precision(report) == "float32"


def write(path: Path, nodes: list[Any], output: tuple[int, list[int]], constants: dict[str, np.ndarray]) -> Path:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", *output)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return path


SCALE, ZERO = np.float32(0.1), np.uint8(3)
CONV = {"w": np.ones((4, 3, 3, 3), np.int8), "ws": np.float32([0.1] * 4), "wz": np.zeros(4, np.int8)}
CONSTANTS = {**CONV, "s": np.array(SCALE), "z": np.array(ZERO), "b": np.zeros(4, np.int32)}


def test_the_operator_form_of_a_quantised_onnx_file(tmp_path: Path) -> None:
    nodes = [helper.make_node("QLinearConv", ["x", "s", "z", "w", "ws", "wz", "s", "z", "b"], ["y"])]
    report = audit(write(tmp_path / "m.onnx", nodes, (TensorProto.UINT8, [1, 4, 6, 6]), CONSTANTS))
    assert (report["macs"], report["int8_op_share"], report["unknown_ops"]) == (4 * 6 * 6 * 27, 1.0, {})
    assert report["parameters"] == 4 * 27 + 4
    assert (report["bytes"]["weights"], report["bytes"]["biases"]) == (4 * 27, 4 * 4)
    assert report["weights_by_dtype"] == {"int8": 4 * 27}


def test_dynamically_quantised_products(tmp_path: Path) -> None:
    constants = {"w": CONV["w"], "m": np.ones((6, 5), np.int8)}
    nodes = [
        helper.make_node("ConvInteger", ["x", "w"], ["c"]),
        helper.make_node("Cast", ["c"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("DynamicQuantizeLinear", ["f"], ["q", "qs", "qz"]),
        helper.make_node("MatMulInteger", ["q", "m", "qz"], ["y"]),
    ]
    report = audit(write(tmp_path / "m.onnx", nodes, (TensorProto.INT32, [1, 4, 6, 5]), constants))
    assert report["macs"] == 4 * 6 * 6 * 27 + 4 * 6 * 5 * 6
    assert (report["compute_ops"], report["int8_ops"], report["conversions"]) == (2, 2, 1)
    assert _precision(report | {"ops_by_dtype": {"int8": 2, "float32": 1}}) == "dynamic_int8"


def test_an_operator_of_another_domain_is_unknown_and_what_follows_it_too(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("FusedThing", ["x"], ["t"], domain="com.microsoft"),
        helper.make_node("ConvInteger", ["t", "w"], ["i"]),
        helper.make_node("Identity", ["i"], ["y"]),
    ]
    report = audit(write(tmp_path / "m.onnx", nodes, (TensorProto.INT32, [1, 4, 6, 6]), {"w": CONV["w"]}))
    assert report["unknown_ops"]["FusedThing"] == 1


def test_conversions_that_a_runtime_fuses_do_not_count(tmp_path: Path) -> None:
    constants = {**CONSTANTS, "wq": CONV["w"]}
    around = [
        helper.make_node("DequantizeLinear", ["x", "s", "z"], ["xf"]),
        helper.make_node("DequantizeLinear", ["wq", "ws", "wz"], ["wf"], axis=0),
        helper.make_node("Conv", ["xf", "wf"], ["cf"]),
        helper.make_node("QuantizeLinear", ["cf", "s", "z"], ["c"]),
    ]
    fused = [*around, helper.make_node("Identity", ["c"], ["y"])]
    report = audit(write(tmp_path / "a.onnx", fused, (TensorProto.UINT8, [1, 4, 6, 6]), constants))
    assert (report["quantize_ops"], report["dequantize_ops"], report["conversions"]) == (1, 1, 0)
    island = [
        *around,
        helper.make_node("DequantizeLinear", ["c", "s", "z"], ["df"]),
        helper.make_node("Sin", ["df"], ["y"]),
    ]
    report = audit(write(tmp_path / "b.onnx", island, (TensorProto.FLOAT, [1, 4, 6, 6]), constants))
    assert (report["quantize_ops"], report["dequantize_ops"], report["conversions"]) == (1, 2, 1)


def test_weights_in_nodes_are_weights(tmp_path: Path) -> None:
    model = onnx.load(write_onnx(tmp_path / "model.onnx"))
    expected = audit(tmp_path / "model.onnx")
    nodes = [helper.make_node("Constant", [], [tensor.name], value=tensor) for tensor in model.graph.initializer]
    old = list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.node.extend([*nodes, *old])
    onnx.save(model, tmp_path / "nodes.onnx")
    report = audit(tmp_path / "nodes.onnx")
    assert [report[key] for key in ("parameters", "macs")] == [expected[key] for key in ("parameters", "macs")]


def test_half_floats_are_called_so(tmp_path: Path) -> None:
    model = onnx.load(write_onnx(tmp_path / "model.onnx"))
    for tensor in model.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    onnx.save(model, tmp_path / "half.onnx")
    assert _precision(audit(tmp_path / "half.onnx")) == "float16"
    assert _precision(audit(tmp_path / "model.onnx")) == "float32"


@pytest.mark.parametrize(
    ("given", "stored", "int8_ops", "precision"),
    [
        ({"float32": 3, "int8": 2}, {"int8": 90}, 2, "mixed"),
        ({"float32": 3}, {"int8": 90, "float32": 4}, 2, "dynamic_int8"),  # TFLite's hybrid kernels
        ({"float32": 3}, {"int8": 90, "float32": 4}, 0, "weight_only_int8"),
        ({"float32": 3}, {"int4": 90, "float32": 4}, 0, "weight_only_int4"),
        ({"float32": 3}, {}, 0, "float32"),
        ({"float64": 3}, {"float64": 9}, 0, "mixed"),
    ],
)
def test_what_a_file_is_called(given: dict[str, int], stored: dict[str, int], int8_ops: int, precision: str) -> None:
    report = {"format": "tflite", "ops": {}, "ops_by_dtype": given, "weights_by_dtype": stored, "int8_ops": int8_ops}
    assert _precision(report) == precision


def test_external_data_is_no_fault_of_the_file(tmp_path: Path) -> None:
    model = onnx.load(write_onnx(tmp_path / "model.onnx"))
    onnx.save(model, tmp_path / "split.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    with pytest.raises(ModelError, match=r"split.onnx keeps its weights in w.bin; expected one file"):
        audit(tmp_path / "split.onnx")
