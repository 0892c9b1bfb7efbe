"""Files of dynamic and weight-only schemes: the torch graph's integers in both formats, and what runtimes compute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from torch import nn
from transformer_nets import build_encoder, ids

from compress.export import export
from compress.export.audit import audit
from compress.quantize import DynamicInt8, Float32, QuantizedGraph, Scheme, WeightOnlyInt4, WeightOnlyInt8, quantize
from compress.targets import open_session

SCHEMES: dict[str, Scheme] = {
    "float32": Float32(),
    "dynamic_int8": DynamicInt8(),
    "weight_only_int8": WeightOnlyInt8(),
    "weight_only_int4": WeightOnlyInt4(),
}
INTEGERS = [name for name in SCHEMES if name != "float32"]
BATCH = ids(48)
LAYERS = 9  # an embedding, four linears of attention, two of the perceptron, head and gate
WEIGHTS = 40 * 64 + 4 * 64 * 64 + 2 * 64 * 128 + 2 * 64 * 12


@dataclass(frozen=True, kw_only=True)
class Written:
    """A quantised encoder and its two files."""

    graph: QuantizedGraph
    onnx: Path
    tflite: Path


Write = Callable[[str], Written]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Precision -> the encoder's files."""
    done: dict[str, Written] = {}

    def write(precision: str) -> Written:
        if precision not in done:
            done[precision] = write_files(build_encoder(), BATCH, SCHEMES[precision], tmp_path_factory.mktemp("files"))
        return done[precision]

    return write


def write_files(model: nn.Module, batch: torch.Tensor, scheme: Scheme, folder: Path) -> Written:
    graph = quantize(model, batch[:1], scheme)
    files = {fmt: folder / f"model.{fmt}" for fmt in ("onnx", "tflite")}
    for fmt, file in files.items():
        export(graph.module, graph.precision, fmt, file, batch[:1])  # type: ignore[arg-type]
    return Written(graph=graph, onnx=files["onnx"], tflite=files["tflite"])


def torch_weights(graph: QuantizedGraph) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """(integers, scales) of every layer, in graph order."""
    buffers = dict(graph.module.named_buffers())
    names = [name.removesuffix("_q") for name in buffers if name.endswith("_q")]
    return [(buffers[f"{name}_q"].numpy(), buffers[f"{name}_scale"].numpy()) for name in names]


def onnx_weights(file: Path) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """As `torch_weights`: products hold their weight transposed."""
    constant = {t.name: t for t in onnx.load(file).graph.initializer}
    found = []
    for name, tensor in constant.items():
        if tensor.data_type in (TensorProto.INT8, TensorProto.INT4) and len(tensor.dims) == 2:
            stored = numpy_helper.to_array(tensor).astype(np.int8)
            scales = numpy_helper.to_array(constant[f"{name}_scale"])
            table = name.endswith("_table")
            found.append((stored, scales) if table else (stored.T, scales.T))
    return found


def tflite_weights(file: Path) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """As `torch_weights`."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(file.read_bytes(), 0))
    (graph,) = model.subgraphs
    found = []
    for tensor in graph.tensors:
        data = model.buffers[tensor.buffer].data
        if data is None or tensor.type not in (schema.TensorType.INT8, schema.TensorType.INT4):
            continue
        if tensor.type == schema.TensorType.INT4:
            scales = graph.tensors[tensor.quantization.details.scales]
            halves = np.stack([data & 15, data >> 4], 1).reshape(tensor.shape).astype(np.int8)
            stored = np.where(halves > 7, halves - 16, halves).astype(np.int8)
            found.append((stored, model.buffers[scales.buffer].data.view(np.float16).reshape(scales.shape)))
        else:
            found.append((data.view(np.int8).reshape(tensor.shape), tensor.quantization.scale))
    return found


def run(file: Path, batch: torch.Tensor, tmp_path: Path) -> NDArray[Any]:
    """Real outputs, in a child process, as everything is measured."""
    with open_session("host", tmp_path) as session:
        dtype = session.describe(file).inputs[0].dtype
        return session.run(file, batch.numpy().astype(dtype))


def sqnr_db(signal: NDArray[Any], other: NDArray[Any]) -> float:
    return float(10 * np.log10((signal**2).sum() / ((signal - other) ** 2).sum()))


@pytest.mark.parametrize("precision", INTEGERS)
def test_both_files_hold_the_integers_of_the_torch_graph(encoder: Write, precision: str) -> None:
    files = encoder(precision)
    expected = torch_weights(files.graph)
    assert len(expected) == LAYERS
    for found in (onnx_weights(files.onnx), tflite_weights(files.tflite)):
        assert len(found) == LAYERS
        for integers, scales in expected:  # converters keep no order
            same = [s for stored, s in found if stored.shape == integers.shape and np.array_equal(stored, integers)]
            assert len(same) == 1
            np.testing.assert_array_equal(np.asarray(same[0], np.float32).reshape(scales.shape), scales)


@pytest.mark.parametrize("precision", INTEGERS)
def test_litert_computes_what_torch_simulates(encoder: Write, precision: str, tmp_path: Path) -> None:
    files = encoder(precision)
    expected = files.graph.module(BATCH).detach().numpy()
    assert expected.std(0).min() > 0.05
    # Dynamic: but for halves that are rounded otherwise. Int4: LiteRT stores the activations as int8, torch does not.
    floor = {"dynamic_int8": 45, "weight_only_int8": 100, "weight_only_int4": 38}[precision]
    assert sqnr_db(expected, run(files.tflite, BATCH, tmp_path)) > floor


@pytest.mark.parametrize("precision", INTEGERS)
def test_onnx_runtime_stays_close_to_torch(encoder: Write, precision: str, tmp_path: Path) -> None:
    files = encoder(precision)
    expected = files.graph.module(BATCH).detach().numpy()
    # Dynamic: its range is one of the whole input instead of one a row. Int4: as for LiteRT.
    floor = {"dynamic_int8": 33, "weight_only_int8": 100, "weight_only_int4": 38}[precision]
    assert sqnr_db(expected, run(files.onnx, BATCH, tmp_path)) > floor


def test_onnx_dynamic_product_is_integer_arithmetic(tmp_path: Path) -> None:
    torch.manual_seed(3)
    model, rows = nn.Linear(40, 24).eval(), torch.randn(1, 40) * 2 - 0.5
    files = write_files(model, rows, DynamicInt8(), tmp_path)
    ((integers, scales),) = torch_weights(files.graph)
    x = rows.numpy()
    scale = (max(x.max(), 0) - min(x.min(), 0)) / np.float32(255)  # ONNX: DynamicQuantizeLinear
    zero = np.clip(np.rint(-x.min() / scale), 0, 255)
    stored = np.clip(np.rint(x / scale) + zero, 0, 255).astype(np.int64)
    sums = (stored - int(zero)) @ integers.astype(np.int64).T
    expected = sums * (scale * scales) + model.bias.detach().numpy()
    np.testing.assert_allclose(run(files.onnx, rows, tmp_path), expected, rtol=1e-5, atol=1e-5)


def test_files_shrink(encoder: Write) -> None:
    whole = encoder("float32")
    for precision, bits in (("dynamic_int8", 8), ("weight_only_int8", 8), ("weight_only_int4", 5)):
        for fmt in ("onnx", "tflite"):
            size, before = (getattr(files, fmt).stat().st_size for files in (encoder(precision), whole))
            assert before - size > 0.93 * WEIGHTS * (32 - bits) / 8, (precision, fmt)


def test_what_the_audit_counts(encoder: Write) -> None:
    whole, dynamic, int4 = (audit(encoder(p).tflite) for p in ("float32", "dynamic_int8", "weight_only_int4"))
    assert dynamic["macs"] == whole["macs"] == 6 * (4 * 64 * 64 + 2 * 64 * 128 + 2 * 64 * 12) + 2 * 6 * 6 * 64
    assert dynamic["int8_ops"] == LAYERS - 1
    assert int4["bytes"]["quantization"] == WEIGHTS // 32 * 2  # a float16 a block
    assert dynamic["bytes"]["weights"] - int4["bytes"]["weights"] == WEIGHTS // 2
    for report in (dynamic, int4):
        assert sum(report["bytes"].values()) == report["size_bytes"]


def test_runtimes_that_would_be_silently_wrong_refuse_the_file(encoder: Write) -> None:
    """tflite-runtime 2.14 knows version 11 of FULLY_CONNECTED and 3 of EMBEDDING_LOOKUP, and one scale a weight."""
    wanted = {"FULLY_CONNECTED": 12, "EMBEDDING_LOOKUP": 4}
    for precision in ("dynamic_int8", "weight_only_int4"):
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(encoder(precision).tflite.read_bytes(), 0))
        versions = {code.builtinCode: code.version for code in model.operatorCodes}
        assert {name: versions[getattr(schema.BuiltinOperator, name)] for name in wanted} == wanted
        kinds = {op.opcodeIndex for op in model.subgraphs[0].operators}
        assert kinds == set(range(len(model.operatorCodes)))  # nothing is left of the converter's fences
