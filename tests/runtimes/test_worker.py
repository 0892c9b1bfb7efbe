"""The worker's side of the protocol, spoken to as another program would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from compress import runtimes

WORKER = Path(runtimes.__file__).with_name("worker.py")
Ask = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that doubles its input, and an input."""
    folder = tmp_path_factory.mktemp("worker")
    shape = ["batch", 3]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "double",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, folder / "double.onnx")
    np.save(folder / "x.npy", np.arange(12, dtype=np.float32).reshape(4, 3))
    return folder


@pytest.fixture
def worker(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-P", str(WORKER)],
        cwd=folder,
        env={**os.environ, "ORT_DISABLE_TELEMETRY": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        yield process


@pytest.fixture
def ask(worker: subprocess.Popen[bytes]) -> Ask:
    def ask_worker(job: dict[str, Any]) -> dict[str, Any]:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(json.dumps(job).encode() + b"\n")
        worker.stdin.flush()
        answer: dict[str, Any] = json.loads(worker.stdout.readline())
        return answer

    assert ask_worker({"runtime": "onnxruntime"})["runtime"].startswith("onnxruntime ")
    return ask_worker


def test_jobs(ask: Ask, folder: Path) -> None:
    fed = {"model": "double.onnx", "inputs": "x.npy"}
    spec = {"shape": [None, 3], "dtype": "float32", "scale": None, "zero_point": None}
    assert ask({"job": "describe", "model": "double.onnx"}) == {
        "inputs": [{"name": "x", **spec}],
        "outputs": [{"name": "y", **spec}],
    }
    assert ask({"job": "run", **fed, "outputs": "y.npy"}) == {}
    np.testing.assert_array_equal(np.load(folder / "y.npy"), 2 * np.load(folder / "x.npy"))
    timed = ask({"job": "time", **fed, "warmup": 1, "n": 5, "threads": 2})
    assert len(timed["durations_ns"]) == 5
    assert timed["cpu_ns"] >= 0
    assert ask({"job": "count", **fed, "warmup": 1, "repeats": 2}) == {}, "a mark is harmless where nobody counts"


def test_errors_are_answers(ask: Ask) -> None:
    assert "NoSuchFile" in ask({"job": "describe", "model": "none.onnx"})["error"]
    assert "KeyError" in ask({"job": "run", "model": "double.onnx"})["error"]
    assert ask({"job": "describe", "model": "double.onnx"})["inputs"]


def test_it_leaves_with_its_parent(worker: subprocess.Popen[bytes], ask: Ask) -> None:
    ask({"job": "describe", "model": "double.onnx"})
    assert worker.stdin is not None
    worker.stdin.close()
    assert worker.wait(30) == 0


NOISY_RUNTIME = """
import os
__version__ = "0"
print("hello from Python")
os.write(1, b"hello from C\\n")

class SessionOptions:
    def add_session_config_entry(self, key, value): pass

class InferenceSession:
    def __init__(self, path, options, providers):
        os.write(1, b"opening\\n")
        if path == "exit": os._exit(3)
        if path == "abort": os.abort()
        while path == "hang": pass
    def get_inputs(self): return []
    def get_outputs(self): return []
    def io_binding(self): return None
"""


def test_what_a_runtime_prints_is_no_answer(tmp_path: Path) -> None:
    """A stand-in for the runtime, which writes to stdout and dies in three more ways."""
    (tmp_path / "onnxruntime.py").write_text(NOISY_RUNTIME)
    models = ("fine", "exit", "abort", "hang")
    jobs = [{"runtime": "onnxruntime"}, *({"job": "describe", "model": model, "limit_s": 1} for model in models)]
    process = subprocess.Popen(
        [sys.executable, "-P", str(WORKER)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    answers = []
    for job in jobs:
        process.stdin.write(json.dumps(job).encode() + b"\n")
        process.stdin.flush()
        answers.append(json.loads(process.stdout.readline()))
    _, errors = process.communicate(timeout=30)
    assert answers == [
        {"runtime": "onnxruntime 0"},
        {"inputs": [], "outputs": []},
        {"exit": 3},
        {"signal": "SIGABRT"},
        {"signal": "SIGALRM"},
    ]
    assert b"hello from C" in errors


def test_it_imports_nothing_of_the_package() -> None:
    assert "compress" not in WORKER.read_text().replace("compress.", "")
