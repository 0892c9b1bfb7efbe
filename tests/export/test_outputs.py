"""What the files compute, on the real runtimes, against torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from conftest import Written, run_onnx, run_tflite
from mobile_nets import images

from compress.export.audit import audit

Write = Callable[[str, str], Written]
IMAGES = images(96)


def test_float32_files_match_torch(written: Write) -> None:
    files = written("mobile", "float32")
    with torch.no_grad():
        expected = files.model(IMAGES).numpy()
    assert expected.std(0).min() > 0.03
    np.testing.assert_allclose(run_onnx(files.onnx, IMAGES), expected, atol=1e-4)
    np.testing.assert_allclose(run_tflite(files.tflite, IMAGES), expected, atol=1e-4)


def test_float16_files_stay_close_to_torch(written: Write) -> None:
    files = written("mobile", "float16")
    with torch.no_grad():
        rounded, whole = files.graph.module(IMAGES).numpy(), files.model(IMAGES).numpy()
    assert 0 < np.abs(rounded - whole).max() < 0.02
    np.testing.assert_allclose(run_tflite(files.tflite, IMAGES), rounded, atol=1e-4)  # float32 arithmetic
    np.testing.assert_allclose(run_onnx(files.onnx, IMAGES), rounded, atol=0.03)  # float16 arithmetic


@pytest.mark.parametrize("net", ["mobile", "plain", "gated"])
def test_int8_files_compute_what_torch_simulates(written: Write, net: str) -> None:
    files = written(net, "static_int8")
    assert files.graph.left_in_float == ()
    step = audit(files.tflite)["outputs"][0]["scale"]
    expected = files.graph.module(IMAGES).detach().numpy()
    steps = np.rint(expected / step)
    assert len(np.unique(steps)) > 60
    for run, file in ((run_onnx, files.onnx), (run_tflite, files.tflite)):
        difference = np.abs(np.rint(run(file, IMAGES) / step) - steps)
        assert difference.max() <= 1
        # Halves are rounded to even by torch and ONNX Runtime and up by LiteRT: average pools meet them often.
        assert (difference == 0).mean() > (0.75 if net == "plain" else 0.97)


def test_int8_files_keep_the_models_answers(written: Write) -> None:
    files = written("mobile", "static_int8")
    with torch.no_grad():
        expected = files.model(IMAGES).numpy()
    noise = ((run_tflite(files.tflite, IMAGES) - expected) ** 2).sum() / ((expected - expected.mean(0)) ** 2).sum()
    assert noise < 0.01  # of the variance between images: 20 dB
