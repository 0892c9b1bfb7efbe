"""Measuring a user's own file: what was asked for, and nothing of a file that computes nothing."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from rich.console import Console

from compress.bench import Bench, bench_file
from compress.bench_print import print_bench
from compress.errors import ModelError
from tests.targets.tiny_models import write_onnx


def bench(file: Path, **changes: Any) -> Bench:
    usual: dict[str, Any] = {"inferences": 7, "threads": 1, "seed": 0, "timeout_s": 60}
    return bench_file(file, changes.pop("targets", ("host",)), Path("nowhere"), **(usual | changes))


@pytest.mark.parametrize(("inferences", "rounds"), [(7, 1), (1, 1), (8, 4), (20, 5)])
def test_as_many_inferences_as_were_asked_for_on_each_target_once(tmp_path: Path, inferences: int, rounds: int) -> None:
    found = bench(write_onnx(tmp_path / "m.onnx"), inferences=inferences, targets=("host", "host"))
    (timed,) = found.measurements
    assert (timed.n, len(timed.samples), timed.details["rounds"]) == (inferences, inferences, rounds)


def test_an_ort_file_is_measured_as_the_onnx_file_is(tmp_path: Path) -> None:
    """Written by ONNX Runtime itself, for this machine."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "m.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(write_onnx(tmp_path / "m.onnx"), options, providers=["CPUExecutionProvider"])
    found = bench(tmp_path / "m.ort")
    (timed,) = found.measurements
    assert (timed.metric, timed.n, timed.target) == ("latency_ms", 7, "host")
    assert (found.artifact.format, found.artifact.precision) == ("ort", "float32")
    console = Console(file=io.StringIO(), width=200)
    print_bench(found, console, as_json=False)
    assert "of ONNX Runtime's own operators" in console.file.getvalue()  # type: ignore[attr-defined]
    assert "3 to 4 times as long" in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_model_that_computes_nan_is_not_measured(tmp_path: Path) -> None:
    model = onnx.load(write_onnx(tmp_path / "m.onnx"))
    (bias,) = (tensor for tensor in model.graph.initializer if tensor.name == "dense_bias")
    values = numpy_helper.to_array(bias).copy()
    values[3] = np.nan
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))
    onnx.save(model, tmp_path / "nan.onnx")
    with pytest.raises(ModelError, match=r"nan.onnx on host: 1 of 16 output values are not finite"):
        bench(tmp_path / "nan.onnx")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("student.safetensors", "name a model file that was made of them"),
        ("student.pt", "export the model first"),
        ("student", "if it is a model in one of these formats, rename it"),
    ],
)
def test_advice_for_other_files(tmp_path: Path, name: str, advice: str) -> None:
    with pytest.raises(ModelError, match=advice):
        bench(tmp_path / name)
