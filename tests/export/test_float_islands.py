"""Layers that stay in float among integers do so in the files too: both runtimes would make integers of them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from conftest import run_onnx, run_tflite
from mobile_nets import Mobile, build, images
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from compress.errors import ModelError
from compress.export import export
from compress.export.audit import audit
from compress.quantize import MixedInt8, QuantizedGraph, StaticInt8, quantize

IMAGES = images(48)


class Patches(nn.Module):
    """(n, 1, 28, 28) -> (n, 5): linear layers over a sequence of patches."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patch, self.up, self.down = nn.Conv2d(1, 12, 7, 7), nn.Linear(12, 24), nn.Linear(24, 12)
        self.head = nn.Linear(12, 5)

    def forward(self, image: Tensor) -> Tensor:
        tokens = self.patch(image).flatten(2).transpose(1, 2)
        tokens = tokens + self.down(torch.relu(self.up(tokens)))
        logits: Tensor = self.head(tokens.mean(1))
        return logits


CASES: dict[str, tuple[nn.Module, tuple[str, ...]]] = {
    "between integers, and last": (build(Mobile), ("one.1.0", "two.0.0", "head")),
    "a sequence": (Patches().eval(), ("up",)),
}


def write(graph: QuantizedGraph, folder: Path) -> tuple[Path, Path]:
    files = folder / "model.onnx", folder / "model.tflite"
    for file in files:
        export(graph.module, graph.precision, file.suffix[1:], file, IMAGES[:1])  # type: ignore[arg-type]
    return files


def noise(expected: Tensor, got: NDArray[np.float32]) -> float:
    """In dB."""
    difference = got.astype(np.float64) - expected.numpy()
    return float(10 * np.log10(np.square(expected.numpy()).sum() / max(np.square(difference).sum(), 1e-30)))


def scales(file: Path) -> set[tuple[float, int]]:
    """Of all activations."""
    if file.suffix == ".onnx":
        model = onnx.load(file)
        constant = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        pairs = [n.input[1:3] for n in model.graph.node if n.op_type == "QuantizeLinear"]
        return {(float(constant[scale]), int(constant[zero])) for scale, zero in pairs}
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(file.read_bytes(), 0))
    found = [
        t for t in model.subgraphs[0].tensors if t.type == schema.TensorType.INT8 and len(t.quantization.scale) == 1
    ]
    constants = [t for t in found if model.buffers[t.buffer].data is not None]
    return {(float(t.quantization.scale[0]), int(t.quantization.zeroPoint[0])) for t in found if t not in constants}


@pytest.mark.parametrize("case", CASES)
def test_both_runtimes_compute_the_layer_in_float(case: str, tmp_path: Path) -> None:
    model, exempt = CASES[case]
    graph = quantize(model, IMAGES[:1], MixedInt8(exempt=exempt), IMAGES)
    onnx_file, tflite_file = write(graph, tmp_path)
    with torch.no_grad():
        expected = graph.module(IMAGES)
    assert noise(expected, run_onnx(onnx_file, IMAGES)) > 100
    apart = np.abs(run_tflite(tflite_file, IMAGES) - expected.numpy()).max(1)
    assert (apart < 1e-4).mean() > 0.7  # kernels of integers round some sums otherwise than torch
    in_float = sum(dict(model.named_parameters())[f"{path}.weight"].numel() for path in exempt)
    for file in (onnx_file, tflite_file):
        found = audit(file)
        assert len(exempt) <= len(found["float_islands"]) <= len(exempt) + 2, found["float_islands"]  # pads, clips
        assert found["weights_by_dtype"]["float32"] == in_float
        assert found["bytes"]["weights"] - sum(found["weights_by_dtype"].values()) == 3 * in_float
    costs = [re.search(r"costs ([\d,]+) bytes", reason) for _, reason in graph.left_in_float if "exempt" in reason]
    assert sum(int(cost[1].replace(",", "")) for cost in costs if cost) == 3 * in_float
    table = {(entry["scale"], entry["zero_point"]) for name, entry in graph.qparams.items() if "." not in name}
    assert scales(onnx_file) <= scales(tflite_file) <= table


class Waves(nn.Module):
    """Has a sine of its own of what an island reads."""

    def __init__(self, both: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two, self.both = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 1), both

    def forward(self, image: Tensor) -> Tensor:
        features = torch.relu(self.one(image))
        wave = torch.sin(features)
        logits: Tensor = (torch.relu(self.two(features)) + (torch.cos(wave) if self.both else wave)).mean((2, 3))
        return logits


def test_a_models_own_waves_stay(tmp_path: Path) -> None:
    file = tmp_path / "model.tflite"
    graph = quantize(Waves(both=False), IMAGES[:1], MixedInt8(exempt=("two",)), IMAGES)
    export(graph.module, graph.precision, "tflite", file, IMAGES[:1])
    with torch.no_grad():
        assert noise(graph.module(IMAGES), run_tflite(file, IMAGES)) > 60
    assert audit(file)["ops"]["SIN"] == 1
    graph = quantize(Waves(both=True), IMAGES[:1], StaticInt8(), IMAGES)
    export(graph.module, graph.precision, "tflite", file, IMAGES[:1])
    assert (audit(file)["ops"]["SIN"], audit(file)["ops"]["COS"]) == (1, 1)
    graph = quantize(Waves(both=True), IMAGES[:1], MixedInt8(exempt=("two",)), IMAGES)
    with pytest.raises(ModelError, match=r"computes cos\(sin\(x\)\).*; use static_int8"):
        export(graph.module, graph.precision, "tflite", file, IMAGES[:1])
