"""What the standard networks are made of, in integers and in both formats; the whole networks take minutes each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from compress.export import export
from compress.export.audit import audit
from compress.models.branches import Conv, average, halve, split
from compress.models.convolution import ImageClassifier, convolve
from compress.models.mobilebert import mobilebert
from compress.models.random_weights import draw_weights, smooth_images
from compress.models.resnet_v2 import PreActivation, activate
from compress.quantize import Float32, StaticInt8, quantize
from compress.targets import decode, encode, open_session


def medley() -> nn.Module:
    """What these networks add to docs/operators.md: TensorFlow's padding, pools at the border, strided shortcuts."""
    stem = convolve(3, 8, 3, nn.ReLU6(inplace=True), stride=2, padding="same")
    blocks = nn.Sequential(
        convolve(8, 8, 5, nn.ReLU6(inplace=True), stride=2, groups=8, padding="same"),
        split(8, (Conv(8, (1, 3)),), (average(),)),
        halve(partial_windows=True),
        PreActivation(16, 8, 16, 2),
    )
    return ImageClassifier(stem, blocks, activate(16), 16, 10)


def run(file: Path, inputs: Tensor, folder: Path) -> np.ndarray:
    with open_session("host", folder) as host:
        info = host.describe(file)
        return decode(info.outputs[0], host.run(file, encode(info.inputs[0], inputs.numpy())))


def test_what_the_networks_add_runs_in_integers(tmp_path: Path) -> None:
    images = smooth_images(32, (3, 40, 40))
    model = draw_weights(medley(), images)
    graph = quantize(model, images[:1], StaticInt8(), images)
    assert graph.left_in_float == ()
    with torch.no_grad():
        expected, simulated = model(images).numpy(), graph.module(images).numpy()
    step = np.diff(np.unique(simulated)).min()
    assert 10 * np.log10(np.square(expected).sum() / np.square(simulated - expected).sum()) > 25
    reports: dict[str, dict[str, Any]] = {}
    for fmt in ("onnx", "tflite"):
        file = tmp_path / f"model.{fmt}"
        export(graph.module, graph.precision, fmt, file, images[:1])
        reports[fmt] = audit(file)
        assert reports[fmt]["int8_op_share"] == 1.0
        assert np.abs(run(file, images, tmp_path) - simulated).max() <= 2.01 * step
    assert "PAD" not in reports["tflite"]["ops"]  # the strided convolutions pad as TFLite does by itself
    assert "Pad" not in reports["onnx"]["ops"]


def test_mobilebert_in_both_formats(tmp_path: Path) -> None:
    ids = torch.randint(0, 50, (8, 6), generator=torch.Generator().manual_seed(0))
    tiny = mobilebert(
        classes=4, vocabulary=50, max_tokens=6, depth=1, width=32, bottleneck=16, perceptrons=1, embedding=16
    )
    model = draw_weights(tiny, ids)
    with torch.no_grad():
        expected = model(ids).numpy()
    graph = quantize(model, ids[:1], Float32())
    for fmt in ("onnx", "tflite"):
        file = tmp_path / f"model.{fmt}"
        export(graph.module, graph.precision, fmt, file, ids[:1])
        np.testing.assert_allclose(run(file, ids, tmp_path), expected, atol=1e-4)
