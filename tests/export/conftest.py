"""Model files, written once per test session, and ways to run them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from mobile_nets import Gated, Mobile, Plain, build, images
from numpy.typing import NDArray
from torch import nn

from compress.export import export
from compress.quantize import Float16, Float32, QuantizedGraph, Scheme, StaticInt8, quantize
from compress.runtimes import worker

NETS = {"mobile": Mobile, "plain": Plain, "gated": Gated}
SCHEMES: dict[str, Scheme] = {"float32": Float32(), "float16": Float16(), "static_int8": StaticInt8()}


@dataclass(frozen=True, kw_only=True)
class Written:
    """A graph, the model it came from, and its two files."""

    model: nn.Module
    graph: QuantizedGraph
    onnx: Path
    tflite: Path


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Written]:
    """(name of a net, precision) -> its files."""
    done: dict[tuple[str, str], Written] = {}

    def write(net: str, precision: str) -> Written:
        if (net, precision) not in done:
            model = build(NETS[net])
            graph = quantize(model, images(1), SCHEMES[precision], images(128))
            folder = tmp_path_factory.mktemp(f"{net}-{precision}")
            export(graph.module, graph.precision, "onnx", folder / "model.onnx", images(1))
            export(graph.module, graph.precision, "tflite", folder / "model.tflite", images(1))
            files = {fmt: folder / f"model.{fmt}" for fmt in ("onnx", "tflite")}
            done[net, precision] = Written(model=model, graph=graph, onnx=files["onnx"], tflite=files["tflite"])
        return done[net, precision]

    return write


def run_onnx(file: Path, batch: torch.Tensor) -> NDArray[np.float32]:
    """Real outputs of ONNX Runtime, with the settings under which everything is measured."""
    open_model, _ = worker.import_runtime("onnxruntime")
    model = open_model(str(file), 1)
    model.feed(batch.numpy())
    model.invoke()
    outputs: NDArray[np.float32] = model.output()
    return outputs


def onnx_outputs(file: Path, batch: torch.Tensor) -> list[NDArray[np.float32]]:
    """Every output of a file that has several, as `run_onnx` gives the first."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    outputs: list[NDArray[np.float32]] = session.run(None, {"input": batch.numpy()})
    return outputs


def run_tflite(file: Path, batch: torch.Tensor) -> NDArray[np.float32]:
    """Real outputs of LiteRT, images channel-first again."""
    return tflite_outputs(file, batch)[0]


def tflite_outputs(file: Path, batch: torch.Tensor) -> list[NDArray[np.float32]]:
    """Every output of a file that has several, as `run_tflite` gives the first."""
    interpreter = Interpreter(str(file), num_threads=1)
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    targets = interpreter.get_output_details()
    rows: list[list[NDArray[np.float32]]] = [[] for _ in targets]
    for image in batch.numpy():
        stored = image[None].transpose(0, 2, 3, 1) if image.ndim == 3 else image[None]
        if source["dtype"] == np.int8:
            scale, zero_point = source["quantization"]
            stored = np.clip(np.rint(stored / scale) + zero_point, -128, 127)
        interpreter.set_tensor(source["index"], stored.astype(source["dtype"]))
        interpreter.invoke()
        for row, target in zip(rows, targets, strict=True):
            output = interpreter.get_tensor(target["index"]).astype(np.float64)
            if target["dtype"] == np.int8:
                scale, zero_point = target["quantization"]
                output = (output - zero_point) * scale
            row.append(output[0].transpose(2, 0, 1) if output.ndim == 4 else output[0])
    return [np.stack(row).astype(np.float32) for row in rows]
